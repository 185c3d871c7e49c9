-- Tasks, oldest first; a null filter lets everything through.
SELECT id, position, document::text
FROM tasks
WHERE
    (%(workflow_id)s::text IS NULL OR workflow_id = %(workflow_id)s)
    AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(definition_id)s::text IS NULL OR definition_id = %(definition_id)s)
    AND (%(priority)s::text IS NULL OR priority = %(priority)s)
    AND (%(mark_at)s::timestamptz IS NULL OR (created_at, id) > (%(mark_at)s, %(mark_id)s))
ORDER BY created_at, id
LIMIT %(limit)s

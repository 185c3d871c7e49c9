-- Workflows, newest first; a null filter lets everything through.
SELECT id, position, document::text
FROM workflows
WHERE
    (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(definition_id)s::text IS NULL OR definition_id = %(definition_id)s)
    AND (%(priority)s::text IS NULL OR priority = %(priority)s)
    AND (%(created_from)s::timestamptz IS NULL OR created_at >= %(created_from)s)
    AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
    AND (%(mark_at)s::timestamptz IS NULL OR (created_at, id) < (%(mark_at)s, %(mark_id)s))
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s

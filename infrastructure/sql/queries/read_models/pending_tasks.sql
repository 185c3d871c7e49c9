-- Pending tasks of one priority in running workflows, oldest first.
SELECT tasks.id, tasks.position, tasks.document::text
FROM tasks
INNER JOIN workflows ON workflows.id = tasks.workflow_id AND workflows.state = 'running'
WHERE
    tasks.state IN ('created', 'scheduled', 'assigned')
    AND tasks.priority = %(priority)s
    AND (%(mark_at)s::timestamptz IS NULL OR (tasks.created_at, tasks.id) > (%(mark_at)s, %(mark_id)s))
ORDER BY tasks.created_at, tasks.id
LIMIT %(limit)s

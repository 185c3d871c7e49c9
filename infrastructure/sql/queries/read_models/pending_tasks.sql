-- Pending tasks of one priority, oldest first.
SELECT id, position, document::text
FROM tasks
WHERE
    state IN ('created', 'scheduled', 'assigned')
    AND priority = %(priority)s
    AND (%(mark_at)s::timestamptz IS NULL OR (created_at, id) > (%(mark_at)s, %(mark_id)s))
ORDER BY created_at, id
LIMIT %(limit)s

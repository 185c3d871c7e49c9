-- Running tasks past their deadline, and tasks in an agent's hands of which nothing was heard for long.
SELECT id, position, document::text
FROM tasks
WHERE
    (state = 'running' AND deadline <= %(now)s)
    OR (state IN ('assigned', 'running') AND updated_at <= %(quiet_since)s)
ORDER BY updated_at, id
LIMIT %(limit)s

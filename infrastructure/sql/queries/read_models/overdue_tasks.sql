-- Running tasks whose time limit has passed, the longest first.
SELECT id
FROM tasks
WHERE state = 'running' AND deadline IS NOT NULL AND deadline <= %(now)s
ORDER BY deadline
LIMIT %(limit)s

-- Active workflows whose longest duration counts from long ago, the longest first.
SELECT id
FROM workflows
WHERE state IN ('running', 'paused') AND limited_from <= %(before)s
ORDER BY limited_from
LIMIT %(limit)s

-- Active workflows that were started long ago, the longest first.
SELECT id
FROM workflows
WHERE state IN ('running', 'paused') AND started_at <= %(before)s
ORDER BY started_at
LIMIT %(limit)s

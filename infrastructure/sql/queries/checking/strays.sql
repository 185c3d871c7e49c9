-- Documents of which the log knows nothing.
SELECT kind, id FROM (
    SELECT 'workflow' AS kind, id FROM workflows
    UNION ALL SELECT 'task', id FROM tasks
    UNION ALL SELECT 'agent', id FROM agents
    UNION ALL SELECT 'pool', id FROM pools
    UNION ALL SELECT 'system', id FROM systems
) AS found
WHERE NOT EXISTS (SELECT FROM streams s WHERE s.stream_id = (found.kind || '-' || found.id) COLLATE "C")
ORDER BY kind, id
LIMIT %(limit)s

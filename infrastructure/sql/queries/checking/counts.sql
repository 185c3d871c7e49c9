-- Where the number of documents by kind and state is not what was counted, at one moment.
SELECT kind, state, coalesce(counted.count, 0), coalesce(there.count, 0)
FROM (SELECT kind, state, count FROM counts WHERE count <> 0) AS counted
FULL JOIN (
    SELECT 'workflow' AS kind, state, count(*) FROM workflows GROUP BY state
    UNION ALL SELECT 'task', state, count(*) FROM tasks GROUP BY state
    UNION ALL SELECT 'agent', state, count(*) FROM agents GROUP BY state
    UNION ALL SELECT 'pool', state, count(*) FROM pools GROUP BY state
    UNION ALL SELECT 'system', state, count(*) FROM systems GROUP BY state
) AS there USING (kind, state)
WHERE counted.count IS DISTINCT FROM there.count
ORDER BY kind, state

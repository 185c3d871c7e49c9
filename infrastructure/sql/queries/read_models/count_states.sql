-- Move the counts of documents by kind and state, from how they stand to how they are about to be written: to be run before
-- that. So the counts are those of the tables, whatever the documents come from.
WITH moved AS (
    SELECT new.kind, new.state, was.state AS old_state
    FROM unnest(%(kind)b::text[], %(id)b::text[], %(position)b::bigint[], %(state)b::text[]) AS new (kind, id, position, state)
    -- The limit keeps it a look by each id, however small a table was when this was planned.
    LEFT JOIN LATERAL (
        SELECT state, position FROM tasks WHERE new.kind = 'task' AND tasks.id = new.id
        UNION ALL
        SELECT state, position FROM workflows WHERE new.kind = 'workflow' AND workflows.id = new.id
        UNION ALL
        SELECT state, position FROM agents WHERE new.kind = 'agent' AND agents.id = new.id
        UNION ALL
        SELECT state, position FROM pools WHERE new.kind = 'pool' AND pools.id = new.id
        UNION ALL
        SELECT state, position FROM systems WHERE new.kind = 'system' AND systems.id = new.id
        LIMIT 1
    ) AS was ON true
    WHERE was.state IS NULL OR (was.position < new.position AND was.state <> new.state)
)

INSERT INTO counts (kind, state, count)
SELECT steps.kind, steps.state, sum(steps.step)
FROM (
    SELECT kind, state, 1 AS step FROM moved
    UNION ALL
    SELECT kind, old_state, -1 FROM moved WHERE old_state IS NOT NULL
) AS steps
GROUP BY steps.kind, steps.state
HAVING sum(steps.step) <> 0
ON CONFLICT (kind, state) DO UPDATE SET count = counts.count + excluded.count

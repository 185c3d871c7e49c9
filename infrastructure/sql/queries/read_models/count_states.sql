-- Move the counts of documents by state, from how they stand in {table} to how they are about to be written: to be run before
-- that, with the same parameters.
WITH moved AS (
    SELECT new.state, was.state AS old_state
    FROM unnest(%(id)b::text[], %(position)b::bigint[], %(state)b::text[]) AS new (id, position, state)
    -- The limit keeps it a look by each id, however small the table was when this was planned.
    LEFT JOIN LATERAL (SELECT state, position FROM {table} WHERE {table}.id = new.id LIMIT 1) AS was ON true
    WHERE was.state IS NULL OR (was.position < new.position AND was.state <> new.state)
)

INSERT INTO counts (kind, state, count)
SELECT %(kind)s, steps.state, sum(steps.step)
FROM (
    SELECT state, 1 AS step FROM moved
    UNION ALL
    SELECT old_state, -1 FROM moved WHERE old_state IS NOT NULL
) AS steps
GROUP BY steps.state
HAVING sum(steps.step) <> 0
ON CONFLICT (kind, state) DO UPDATE SET count = counts.count + excluded.count

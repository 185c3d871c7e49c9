-- The pools whose documents show other reservations than are kept by themselves, at one moment. One whose document can't be
-- looked into is told of by itself.
SELECT DISTINCT pool_id
FROM (SELECT * FROM reservations WHERE pool_id IN (SELECT id FROM pools WHERE is_readable(document))) AS kept
FULL JOIN (
    SELECT
        pools.id AS pool_id,
        shown ->> 'reservation_id' AS id,
        shown ->> 'task_id' AS task_id,
        shown ->> 'agent_id' AS agent_id,
        coalesce(said_time(shown ->> 'expires_at'), 'infinity') AS expires_at
    FROM (SELECT * FROM pools WHERE is_readable(document) OFFSET 0) AS pools
    CROSS JOIN LATERAL json_array_elements(
        CASE WHEN json_typeof(pools.document -> 'reservations') = 'array' THEN pools.document -> 'reservations' END
    ) AS shown
) AS told USING (pool_id, id)
WHERE (kept.task_id, kept.agent_id, kept.expires_at) IS DISTINCT FROM (told.task_id, told.agent_id, told.expires_at)
ORDER BY pool_id
LIMIT %(limit)s

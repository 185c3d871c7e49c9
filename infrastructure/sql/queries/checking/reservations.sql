-- The pools whose documents show other reservations than are kept by themselves, at one moment.
SELECT DISTINCT pool_id
FROM reservations AS kept
FULL JOIN (
    SELECT
        pools.id AS pool_id,
        shown ->> 'reservation_id' AS id,
        shown ->> 'task_id' AS task_id,
        shown ->> 'agent_id' AS agent_id,
        coalesce((shown ->> 'expires_at')::timestamptz, 'infinity') AS expires_at
    FROM pools
    CROSS JOIN LATERAL json_array_elements(pools.document -> 'reservations') AS shown
) AS told USING (pool_id, id)
WHERE (kept.task_id, kept.agent_id, kept.expires_at) IS DISTINCT FROM (told.task_id, told.agent_id, told.expires_at)
ORDER BY pool_id
LIMIT %(limit)s

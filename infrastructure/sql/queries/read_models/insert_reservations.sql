-- Reservations that have become active, set-wise.
INSERT INTO reservations (pool_id, id, task_id, agent_id, resources, created_at, expires_at)
SELECT pool_id, id, task_id, agent_id, resources::json, created_at, coalesce(expires_at, 'infinity')
FROM unnest(
    %(pool_id)b::text[],
    %(id)b::text[],
    %(task_id)b::text[],
    %(agent_id)b::text[],
    %(resources)b::text[],
    %(created_at)b::timestamptz[],
    %(expires_at)b::timestamptz[]
) AS new (pool_id, id, task_id, agent_id, resources, created_at, expires_at)

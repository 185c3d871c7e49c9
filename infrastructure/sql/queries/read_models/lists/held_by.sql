-- The reservations that are held for each of these agents, what expires first in front, so many of each at most.
SELECT held.pool_id, held.id, held.task_id, agent.id, held.resources::text, held.created_at, nullif(held.expires_at, 'infinity')
FROM unnest(%(agent_ids)s::text[]) AS agent (id)
CROSS JOIN LATERAL (
    SELECT *
    FROM reservations
    WHERE agent_id = agent.id
    ORDER BY expires_at, pool_id, id
    LIMIT %(each)s
) AS held

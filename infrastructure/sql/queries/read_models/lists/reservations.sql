-- A page of active reservations, what expires first in front and what never does at the end; a null filter lets everything
-- through.
SELECT pool_id, id, task_id, agent_id, resources::text, created_at, nullif(expires_at, 'infinity')
FROM reservations
WHERE
    (expires_at, pool_id, id) > (%(from_at)s::text::timestamptz, %(from_pool)s::text, %(from_id)s::text)
    AND (%(pool_id)s::text IS NULL OR pool_id = %(pool_id)s)
    AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
    AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
    AND (%(expires_before)s::timestamptz IS NULL OR expires_at < %(expires_before)s)
ORDER BY expires_at, reservations.pool_id, reservations.id
LIMIT %(limit)s

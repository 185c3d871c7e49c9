-- Reservations that are active no more, set-wise.
DELETE FROM reservations
USING unnest(%(pool_id)b::text[], %(id)b::text[]) AS gone (pool_id, id)
WHERE reservations.pool_id = gone.pool_id AND reservations.id = gone.id

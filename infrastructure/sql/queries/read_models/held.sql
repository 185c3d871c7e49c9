-- The reservations that are kept of each of these pools, by their ids.
SELECT pool_id, array_agg(id) FROM reservations WHERE pool_id = ANY(%(pool_ids)s::text[]) GROUP BY pool_id

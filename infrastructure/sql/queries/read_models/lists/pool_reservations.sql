-- How many reservations of each pool are active.
SELECT pool_id, count(*) FROM reservations WHERE pool_id = ANY(%(pool_ids)s::text[]) GROUP BY pool_id

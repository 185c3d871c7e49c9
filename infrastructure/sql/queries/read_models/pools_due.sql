-- Pools of which a reservation has expired.
SELECT id
FROM pools
WHERE next_expiry IS NOT NULL AND next_expiry <= %(now)s
ORDER BY next_expiry
LIMIT %(limit)s

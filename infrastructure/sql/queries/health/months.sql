-- The partitions that there are, in order.
SELECT partition FROM months ORDER BY starts_at

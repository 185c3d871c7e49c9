-- What a tenant takes of the disk, in bytes, indexes and all: each month of its log, and each other table.
SELECT n.partition IS NOT NULL, coalesce(to_char(n.starts_at AT TIME ZONE 'UTC', 'YYYY-MM'), c.relname),
    sum(s.bytes)::bigint
FROM pg_class c
CROSS JOIN LATERAL (SELECT pg_total_relation_size(c.oid) AS bytes) s
LEFT JOIN months n ON n.partition = c.relname
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND s.bytes IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2

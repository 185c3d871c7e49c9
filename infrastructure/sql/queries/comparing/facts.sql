-- The next rows by their positions, each as a digest of all that it says.
SELECT position, position, md5(to_jsonb(fact)::text) FROM {table} AS fact
WHERE position > %(after)s AND position <= %(until)s
ORDER BY position
LIMIT %(limit)s

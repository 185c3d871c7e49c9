-- Rows by their positions, each as a hash of all that it says.
SELECT position, position, hash_record_extended(fact, 0)::text FROM {table} AS fact
WHERE position > %(after)s AND position <= %(until)s
ORDER BY position

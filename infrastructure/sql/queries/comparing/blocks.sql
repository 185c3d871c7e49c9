-- Rows by blocks of positions, how many there are in each, and what they say together.
SELECT (position - 1) / %(size)s AS block, count(*), sum(hash_record_extended(fact, 0))::text FROM {table} AS fact
WHERE position > %(after)s AND position <= %(until)s
GROUP BY block

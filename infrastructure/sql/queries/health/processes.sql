-- What the processes that noted their memory within the last three minutes have noted within the last hour.
SELECT p.process, min(p.at), max(p.at),
    (array_agg(p.resident_bytes ORDER BY p.at))[1],
    max(p.resident_bytes),
    (array_agg(p.resident_bytes ORDER BY p.at DESC))[1]
FROM process_memory p
WHERE p.at >= now() - interval '1 hour'
GROUP BY p.process
HAVING max(p.at) >= now() - interval '3 minutes'
ORDER BY p.process

-- That keys were used, to the minute: many processes may note the same.
UPDATE api_keys SET last_used_at = clock_timestamp()
WHERE id = ANY(%(ids)s) AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')

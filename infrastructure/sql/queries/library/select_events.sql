SELECT version, type, data
FROM read_stream(%s, %s::bigint, %s::bigint, NULL, NULL, NULL, %s, %s::int)

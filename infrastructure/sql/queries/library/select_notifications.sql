SELECT position, stream_id, version, type, data
FROM read_notifications(%s::bigint, %s::bigint, %s::bigint, %s::text[])

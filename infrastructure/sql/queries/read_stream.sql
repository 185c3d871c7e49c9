SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at, following
FROM read_page(%s, %s, %s::bigint, %s::timestamptz, %s::timestamptz, %s::bigint, %s, %s)

SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at, following FROM read_batch(%s, %s, %s::text[], %s::text[], %s::text, %s::bigint, 67108864)

SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at, following FROM read_log(%s, %s, %s::text[], %s::text[], %s::text, %s::bigint)

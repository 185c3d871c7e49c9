SELECT version, type, schema_version, data, position, following, recorded_at, digest
FROM read_fold(%s, %s, %s::text, %s::int, %s::bigint, %s::bigint, %s::timestamptz, %s::timestamptz, %s::bigint, %s)

SELECT first_version, last_version, position, following, recorded_at, digest, more, types, schema_versions, lengths, data
FROM read_fold(%s, %s, %s::text, %s::int, %s::bigint, %s::bigint, %s::timestamptz, %s::timestamptz, %s::bigint, %s)

SELECT place, first_version, last_version, position, following, recorded_at, digest, more, types, schema_versions, lengths, data
FROM read_folds(%s::text[], %s::bigint[], %s::text[], %s::int[], %s::bigint[], %s::bigint, %s)

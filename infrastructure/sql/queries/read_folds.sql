SELECT place, version, type, schema_version, data, position, following, recorded_at, digest
FROM read_folds(%s::text[], %s::bigint[], %s::text[], %s::int[], %s::bigint[], %s::bigint)

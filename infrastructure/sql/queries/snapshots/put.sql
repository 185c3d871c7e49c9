INSERT INTO snapshots (stream_id, schema, fold_version, version, position, following, recorded_at, digest, state)
SELECT u.stream_id, u.schema, u.fold_version, u.version, u.position, u.following, u.recorded_at, u.digest, u.state
FROM unnest(
    %(stream_id)s::text[], %(schema)s::text[], %(fold_version)s::int[], %(version)s::bigint[], %(position)s::bigint[],
    %(following)s::int[], %(recorded_at)s::timestamptz[], %(digest)b::bytea[], %(state)b::bytea[]
) AS u (stream_id, schema, fold_version, version, position, following, recorded_at, digest, state)
ON CONFLICT DO NOTHING

INSERT INTO library_snapshots (purpose, stream_id, version, topic, state)
SELECT %s, u.stream_id, u.version, u.topic, u.state
FROM unnest(%s::text[], %s::bigint[], %s::text[], %b::bytea[]) AS u (stream_id, version, topic, state)

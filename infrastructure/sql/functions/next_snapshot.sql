-- The oldest snapshot of a stream with a stamp at or after a version; null if there is none.
CREATE OR REPLACE FUNCTION next_snapshot(p_stream_id text, p_schema text, p_fold_version int, p_from bigint)
RETURNS snapshots LANGUAGE sql STABLE AS $$
    SELECT * FROM snapshots s
    WHERE s.stream_id = p_stream_id AND s.schema = p_schema AND s.fold_version = p_fold_version AND s.version >= p_from
    ORDER BY s.version LIMIT 1
$$;

REVOKE EXECUTE ON FUNCTION next_snapshot FROM PUBLIC;
GRANT EXECUTE ON FUNCTION next_snapshot TO dora_state_writer, dora_state_projector;

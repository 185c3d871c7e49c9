-- The newest snapshot of a stream with a stamp at or below a version, a time and a position (null: no bound), whose command is
-- whole there; null if there is none.
CREATE OR REPLACE FUNCTION nearest_snapshot(
    p_stream_id text, p_schema text, p_fold_version int, p_until bigint, p_until_at timestamptz, p_until_position bigint
) RETURNS snapshots LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_until    bigint := coalesce(p_until, 9223372036854775807);
    v_snapshot snapshots;
BEGIN
    IF p_until_at IS NOT NULL THEN
        SELECT s.version INTO v_until FROM snapshots s
        WHERE s.stream_id = p_stream_id AND s.schema = p_schema AND s.fold_version = p_fold_version
            AND s.recorded_at <= p_until_at AND s.version <= v_until
        ORDER BY s.recorded_at DESC, s.version DESC LIMIT 1;
    END IF;
    IF p_until_position IS NOT NULL THEN
        SELECT s.version INTO v_until FROM snapshots s
        WHERE s.stream_id = p_stream_id AND s.schema = p_schema AND s.fold_version = p_fold_version
            AND s.whole_position <= p_until_position AND s.version <= v_until
        ORDER BY s.whole_position DESC, s.version DESC LIMIT 1;
    END IF;
    SELECT * INTO v_snapshot FROM snapshots s
    WHERE s.stream_id = p_stream_id AND s.schema = p_schema AND s.fold_version = p_fold_version AND s.version <= v_until
    ORDER BY s.version DESC LIMIT 1;
    RETURN v_snapshot;
END $$;

REVOKE EXECUTE ON FUNCTION nearest_snapshot FROM PUBLIC;
GRANT EXECUTE ON FUNCTION nearest_snapshot TO dora_state_writer, dora_state_projector;

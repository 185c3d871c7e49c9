-- One page of a stream, in order of versions or backwards: versions after one and up to another, recorded
-- from a time and up to another, of commands that are whole at a position. Null: no bound. The stream's own
-- times bound the months that are touched. Refuses what would lack events that are archived.
CREATE OR REPLACE FUNCTION read_stream(
    p_stream_id text, p_after bigint, p_until bigint, p_from_at timestamptz, p_until_at timestamptz,
    p_until_position bigint, p_backwards boolean, p_limit int
) RETURNS SETOF events LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_stream streams;
    v_from   timestamptz;
    v_until  timestamptz;
    v_last   bigint;
    v_found  int;
BEGIN
    SELECT * INTO v_stream FROM streams s WHERE s.stream_id = p_stream_id;
    SELECT * INTO v_from, v_until FROM stream_bounds(v_stream, p_from_at, p_until_at, p_until_position);
    v_last := coalesce(p_until, 9223372036854775807);
    IF p_backwards THEN
        RETURN QUERY SELECT * FROM events e
        WHERE e.stream_id = p_stream_id AND e.version > p_after AND e.version <= v_last
            AND e.recorded_at >= v_from AND e.recorded_at <= v_until
            AND (p_until_position IS NULL OR e.position + e.following <= p_until_position)
        ORDER BY e.version DESC LIMIT p_limit;
    ELSE
        RETURN QUERY SELECT * FROM events e
        WHERE e.stream_id = p_stream_id AND e.version > p_after AND e.version <= v_last
            AND e.recorded_at >= v_from AND e.recorded_at <= v_until
            AND (p_until_position IS NULL OR e.position + e.following <= p_until_position)
        ORDER BY e.version LIMIT p_limit;
    END IF;
    GET DIAGNOSTICS v_found = ROW_COUNT;
    IF p_after < v_last AND v_from <= v_until AND NOT (p_backwards AND v_found = p_limit) THEN
        PERFORM refuse_archived_stream(v_stream, p_after);
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION read_stream FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_stream TO dora_state_writer, dora_state_projector;

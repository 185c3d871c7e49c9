-- The streams that the last so many events are of, with their versions.
CREATE OR REPLACE FUNCTION last_moved(p_events bigint) RETURNS TABLE (stream_id text, version bigint) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_head  bigint := (log_head()).last_position;
    v_from  timestamptz;
    v_until timestamptz;
BEGIN
    SELECT min(m.starts_at), max(m.ends_at) INTO v_from, v_until FROM months m
    WHERE m.state = 'attached' AND m.first_position <= v_head AND coalesce(m.last_position, v_head) > v_head - p_events;
    RETURN QUERY SELECT e.stream_id, max(e.version) FROM events e
    WHERE e.position > v_head - p_events AND e.position <= v_head AND e.recorded_at >= v_from AND e.recorded_at < v_until
    GROUP BY e.stream_id;
END $$;

REVOKE EXECUTE ON FUNCTION last_moved FROM PUBLIC;
GRANT EXECUTE ON FUNCTION last_moved TO dora_state_writer, dora_state_projector;

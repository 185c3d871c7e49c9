-- The streams that have events after a position, with their versions and the positions of their last events; of more than
-- p_at_most events only the last ones are looked at.
CREATE OR REPLACE FUNCTION moved_after(p_after bigint, p_at_most bigint)
RETURNS TABLE (stream_id text, version bigint, last_position bigint) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_head  bigint := (log_head()).last_position;
    v_after bigint := greatest(p_after, v_head - p_at_most);
    v_from  timestamptz;
    v_until timestamptz;
BEGIN
    SELECT min(m.starts_at), max(m.ends_at) INTO v_from, v_until FROM months m
    WHERE m.state = 'attached' AND m.first_position <= v_head AND coalesce(m.last_position, v_head) > v_after;
    RETURN QUERY SELECT e.stream_id, max(e.version), max(e.position) FROM events e
    WHERE e.position > v_after AND e.position <= v_head AND e.recorded_at >= v_from AND e.recorded_at < v_until
    GROUP BY e.stream_id;
END $$;

REVOKE EXECUTE ON FUNCTION moved_after FROM PUBLIC;
GRANT EXECUTE ON FUNCTION moved_after TO dora_state_writer, dora_state_projector;

-- The next streams by their ids, p_limit of them, that have events after a position and up to another, with the versions of the
-- first and the last of these. Each page looks through those events anew, so pages are to be large.
CREATE OR REPLACE FUNCTION moved_between(p_after bigint, p_until bigint, p_stream_id text, p_limit int)
RETURNS TABLE (stream_id text, first_version bigint, last_version bigint) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_from  timestamptz;
    v_until timestamptz;
BEGIN
    PERFORM refuse_archived(p_after, p_until);
    SELECT min(m.starts_at), max(m.ends_at) INTO v_from, v_until FROM months m
    WHERE m.first_position <= p_until AND coalesce(m.last_position, p_until) > p_after;
    RETURN QUERY SELECT e.stream_id, min(e.version), max(e.version) FROM events e
    WHERE e.position > p_after AND e.position <= p_until AND e.recorded_at >= v_from AND e.recorded_at < v_until
        AND e.stream_id > p_stream_id COLLATE "C"
    GROUP BY e.stream_id ORDER BY e.stream_id LIMIT p_limit;
END $$;

REVOKE EXECUTE ON FUNCTION moved_between FROM PUBLIC;
GRANT EXECUTE ON FUNCTION moved_between TO dora_state_writer, dora_state_projector;

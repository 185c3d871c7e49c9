-- Who asked for what in the commands after a position: of those whose last events are among the next p_limit, or of the first one.
-- p_careful: also of metadata that can't be understood, which costs more. A command lies in one month; `months` bounds the
-- partitions that are touched.
CREATE OR REPLACE FUNCTION read_actions(p_after bigint, p_limit int, p_careful boolean) RETURNS TABLE (
    last_position bigint, recorded_at timestamptz, actor text, command_type text
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_head  bigint := (log_head()).last_position;
    v_end   bigint := least(p_after + p_limit, v_head);
    v_from  timestamptz;
    v_until timestamptz;
BEGIN
    IF v_end <= p_after THEN
        RETURN;
    END IF;
    PERFORM refuse_archived(p_after, v_end);
    SELECT min(m.starts_at), max(m.ends_at) INTO v_from, v_until FROM months m
    WHERE m.first_position <= v_end AND coalesce(m.last_position, v_head) > p_after;
    SELECT e.position + e.following INTO v_end FROM events e
    WHERE e.position = v_end AND e.recorded_at >= v_from AND e.recorded_at < v_until;
    RETURN QUERY
    SELECT e.position, e.recorded_at,
        CASE WHEN jsonb_typeof(t.told -> 'actor') = 'string' THEN t.told ->> 'actor' ELSE 'unknown' END,
        CASE WHEN jsonb_typeof(t.told -> 'command_type') = 'string' THEN t.told ->> 'command_type' ELSE 'unknown' END
    FROM events e
    CROSS JOIN LATERAL (
        SELECT CASE WHEN p_careful THEN readable(e.metadata) ELSE convert_from(e.metadata, 'UTF8')::jsonb END AS told
        OFFSET 0  -- made once, and not for each time that it is named
    ) AS t
    WHERE e.position > p_after AND e.position <= v_end AND e.following = 0
        AND e.recorded_at >= v_from AND e.recorded_at < v_until;
END $$;

REVOKE EXECUTE ON FUNCTION read_actions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_actions TO dora_state_writer, dora_state_projector;

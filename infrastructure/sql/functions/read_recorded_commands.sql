-- The commands after a position, in order, with what was said with each and what it touched: those of the next p_limit events,
-- the last one whole. A command lies in one month; `months` bounds the partitions that are touched.
CREATE OR REPLACE FUNCTION read_recorded_commands(p_after bigint, p_limit int) RETURNS TABLE (
    last_position bigint, first_position bigint, recorded_at timestamptz, stream_ids text[], event_types text[], metadata bytea
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
    SELECT max(e.position), min(e.position), max(e.recorded_at),
        array_agg(e.stream_id ORDER BY e.position), array_agg(e.type ORDER BY e.position),
        (array_agg(e.metadata ORDER BY e.position))[1]
    FROM events e
    WHERE e.position > p_after AND e.position <= v_end AND e.recorded_at >= v_from AND e.recorded_at < v_until
    GROUP BY e.position + e.following
    ORDER BY 1;
END $$;

REVOKE EXECUTE ON FUNCTION read_recorded_commands FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_recorded_commands TO dora_state_writer, dora_state_projector;

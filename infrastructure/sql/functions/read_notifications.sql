-- The events after a position and up to another (null: the last), in order, of the types given (null: all): the
-- first p_limit of them. Unlike read_log it may end in the middle of a command, and stops at a position. `months`
-- bounds the partitions that are touched: the log is scanned by windows of positions.
CREATE OR REPLACE FUNCTION read_notifications(p_after bigint, p_until bigint, p_limit bigint, p_types text[])
RETURNS SETOF events LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_head   bigint := (log_head()).last_position;
    v_last   bigint := least(v_head, p_until);
    v_cursor bigint := greatest(p_after, 0);
    v_left   bigint := p_limit;
    v_end    bigint;  -- of the window
    v_found  bigint;
    v_from   timestamptz;
    v_until  timestamptz;
BEGIN
    WHILE v_cursor < v_last AND v_left > 0 LOOP
        -- Without types, positions being contiguous, the first window holds all that is asked for, up to its size.
        v_end := least(v_cursor + CASE WHEN p_types IS NULL THEN least(v_left, 10000) ELSE 10000 END, v_last);
        SELECT min(m.starts_at), max(m.ends_at) INTO v_from, v_until FROM months m
        WHERE m.first_position <= v_end AND coalesce(m.last_position, v_head) > v_cursor;
        PERFORM refuse_archived(v_cursor, v_end);
        RETURN QUERY SELECT * FROM events e
        WHERE e.position > v_cursor AND e.position <= v_end AND e.recorded_at >= v_from AND e.recorded_at < v_until
            AND (p_types IS NULL OR e.type = ANY (p_types))
        ORDER BY e.position LIMIT v_left;
        GET DIAGNOSTICS v_found = ROW_COUNT;
        v_left := v_left - v_found;
        v_cursor := v_end;
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION read_notifications FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_notifications TO dora_state_writer, dora_state_projector;

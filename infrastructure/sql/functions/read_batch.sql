-- The next events after a position and up to another (null: the last), in order, of the categories, types and correlation given
-- (null: all): at least p_limit of them if there are as many, or p_bytes of data and metadata, and then to the end of the last
-- one's command. `months` bounds the partitions that are touched: the log is scanned by windows of positions.
CREATE OR REPLACE FUNCTION read_batch(
    p_after bigint, p_limit int, p_categories text[], p_types text[], p_correlation text, p_until bigint,
    p_bytes bigint
) RETURNS SETOF events LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_head   bigint := (log_head()).last_position;
    v_last   bigint := least(v_head, p_until);
    v_cursor bigint := greatest(p_after, 0);
    v_window bigint := p_limit;
    v_end    bigint;      -- of the window
    v_whole  bigint := 0; -- the last position of the last event's command
    v_found  int := 0;
    v_size   bigint := 0;
    v_full   boolean := false;
    v_from   timestamptz;
    v_until  timestamptz;
    v_event  events;
    v_needle bytea := convert_to(to_json(p_correlation)::text, 'UTF8');  -- most events are told apart without parsing
BEGIN
    WHILE v_cursor < v_last AND (NOT v_full OR v_cursor < v_whole) LOOP
        v_end := least(v_cursor + v_window, v_last);
        SELECT min(m.starts_at), max(m.ends_at) INTO v_from, v_until FROM months m
        WHERE m.first_position <= v_end AND coalesce(m.last_position, v_head) > v_cursor;
        PERFORM refuse_archived(v_cursor, v_end);
        FOR v_event IN
            SELECT * FROM events e
            WHERE e.position > v_cursor AND e.position <= v_end AND e.recorded_at >= v_from AND e.recorded_at < v_until
                AND (p_categories IS NULL OR split_part(e.stream_id, '-', 1) = ANY (p_categories))
                AND (p_types IS NULL OR e.type = ANY (p_types))
                AND (p_correlation IS NULL
                    OR position(v_needle IN e.metadata) > 0 AND readable(e.metadata) ->> 'correlation_id' = p_correlation)
            ORDER BY e.position
        LOOP
            IF v_full AND v_event.position > v_whole THEN
                RETURN;
            END IF;
            v_found := v_found + 1;
            v_size := v_size + octet_length(v_event.data) + octet_length(v_event.metadata);
            v_full := v_found >= p_limit OR v_size >= p_bytes;
            v_whole := v_event.position + v_event.following;
            RETURN NEXT v_event;
        END LOOP;
        v_cursor := v_end;
        v_window := least(v_window * 2, greatest(p_limit, 10000));
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION read_batch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_batch TO dora_state_writer, dora_state_projector;

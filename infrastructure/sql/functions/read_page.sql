-- One page of a stream as read_stream bounds it, in order of versions or backwards: versions after one and up to another, recorded
-- from a time and up to another, of commands that are whole at a position. Null: no bound. It ends before p_limit where it has
-- 64 MB. The stream's own times bound the months that are touched. Refuses what would lack events that are archived.
CREATE OR REPLACE FUNCTION read_page(
    p_stream_id text, p_after bigint, p_until bigint, p_from_at timestamptz, p_until_at timestamptz,
    p_until_position bigint, p_backwards boolean, p_limit int
) RETURNS SETOF events LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_stream streams;
    v_from   timestamptz;
    v_until  timestamptz;
    v_last   bigint;
    v_event  events;
    v_found  int := 0;
    v_size   bigint := 0;
BEGIN
    SELECT * INTO v_stream FROM streams s WHERE s.stream_id = p_stream_id;
    SELECT * INTO v_from, v_until FROM stream_bounds(v_stream, p_from_at, p_until_at, p_until_position);
    v_last := coalesce(p_until, 9223372036854775807);
    IF p_backwards THEN
        FOR v_event IN
            SELECT * FROM events e
            WHERE e.stream_id = p_stream_id AND e.version > p_after AND e.version <= v_last
                AND e.recorded_at >= v_from AND e.recorded_at <= v_until
                AND (p_until_position IS NULL OR e.position + e.following <= p_until_position)
            ORDER BY e.version DESC LIMIT p_limit
        LOOP
            RETURN NEXT v_event;
            v_found := v_found + 1;
            v_size := v_size + octet_length(v_event.data) + octet_length(v_event.metadata);
            EXIT WHEN v_size >= 67108864;
        END LOOP;
    ELSE
        FOR v_event IN
            SELECT * FROM events e
            WHERE e.stream_id = p_stream_id AND e.version > p_after AND e.version <= v_last
                AND e.recorded_at >= v_from AND e.recorded_at <= v_until
                AND (p_until_position IS NULL OR e.position + e.following <= p_until_position)
            ORDER BY e.version LIMIT p_limit
        LOOP
            RETURN NEXT v_event;
            v_found := v_found + 1;
            v_size := v_size + octet_length(v_event.data) + octet_length(v_event.metadata);
            EXIT WHEN v_size >= 67108864;
        END LOOP;
    END IF;
    IF p_after < v_last AND v_from <= v_until AND NOT (p_backwards AND (v_found = p_limit OR v_size >= 67108864)) THEN
        PERFORM refuse_archived_stream(v_stream, p_after);
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION read_page FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_page TO dora_state_writer, dora_state_projector;

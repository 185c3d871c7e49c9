-- The last position recorded at or before a time, 0 if none. Time never falls from position to position, so
-- it is found by halving, without an index over time.
CREATE OR REPLACE FUNCTION position_at(p_at timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_month  months;
    v_low    bigint;  -- recorded at or before p_at
    v_high   bigint;  -- recorded after it
    v_middle bigint;
BEGIN
    SELECT * INTO v_month FROM months m WHERE m.first_recorded_at <= p_at ORDER BY m.first_position DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    v_low := v_month.first_position;
    v_high := coalesce(v_month.last_position, (log_head()).last_position) + 1;
    IF v_month.last_recorded_at <= p_at THEN
        RETURN v_high - 1;
    END IF;
    PERFORM refuse_archived(v_low - 1, v_high - 1);
    WHILE v_high - v_low > 1 LOOP
        v_middle := (v_low + v_high) / 2;
        IF (SELECT e.recorded_at <= p_at FROM events e WHERE e.position = v_middle
            AND e.recorded_at >= v_month.starts_at AND e.recorded_at < v_month.ends_at) THEN
            v_low := v_middle;
        ELSE
            v_high := v_middle;
        END IF;
    END LOOP;
    RETURN v_low;
END $$;

REVOKE EXECUTE ON FUNCTION position_at FROM PUBLIC;
GRANT EXECUTE ON FUNCTION position_at TO dora_state_writer, dora_state_projector;

-- The last event's position (0: none) and time, from the newest month that holds events. An archived month
-- counts by what `months` keeps of it. `open_until`: the end of that month, while it is still open.
CREATE OR REPLACE FUNCTION log_head(OUT last_position bigint, OUT last_recorded_at timestamptz, OUT open_until timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_month months;
BEGIN
    SELECT * INTO v_month FROM months m WHERE m.first_position IS NOT NULL ORDER BY m.first_position DESC LIMIT 1;
    IF NOT FOUND THEN
        last_position := 0;
    ELSIF v_month.last_position IS NOT NULL THEN
        last_position := v_month.last_position;
        last_recorded_at := v_month.last_recorded_at;
    ELSE
        EXECUTE format('SELECT position, recorded_at FROM %I ORDER BY position DESC LIMIT 1', v_month.partition)
        INTO STRICT last_position, last_recorded_at;
        open_until := v_month.ends_at;
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION log_head FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_head TO dora_state_writer, dora_state_projector;

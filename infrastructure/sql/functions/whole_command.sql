-- The end of the last command that is whole at or before a position: its last position and when it was recorded; 0 and null
-- where there is none. A command lies in one month, and `months` knows where those end that are over, archived or not.
-- Never by sorting or by a bitmap: in a month that nobody has analyzed yet, the end of the command before would be looked for in
-- all of it.
CREATE OR REPLACE FUNCTION whole_command(p_position bigint, OUT last_position bigint, OUT last_recorded_at timestamptz)
LANGUAGE plpgsql STABLE SET enable_sort TO off SET enable_bitmapscan TO off SET enable_seqscan TO off AS $$
DECLARE
    v_month months;
BEGIN
    last_position := 0;
    SELECT * INTO v_month FROM months m WHERE m.first_position <= p_position ORDER BY m.first_position DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF v_month.last_position <= p_position THEN
        last_position := v_month.last_position;
        last_recorded_at := v_month.last_recorded_at;
        RETURN;
    END IF;
    PERFORM refuse_archived(p_position - 1, p_position);
    SELECT e.position, e.recorded_at INTO last_position, last_recorded_at FROM events e
    WHERE e.position <= p_position AND e.following = 0
        AND e.recorded_at >= v_month.starts_at AND e.recorded_at < v_month.ends_at
    ORDER BY e.position DESC LIMIT 1;
    IF NOT FOUND THEN  -- it lies within the first command of its month
        SELECT m.last_position, m.last_recorded_at INTO last_position, last_recorded_at FROM months m
        WHERE m.last_position < v_month.first_position
        ORDER BY m.last_position DESC LIMIT 1;
        last_position := coalesce(last_position, 0);
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION whole_command FROM PUBLIC;
GRANT EXECUTE ON FUNCTION whole_command TO dora_state_writer, dora_state_projector;

-- The whole commands to which events at these positions (in order) belong, in order and each once. A command lies in one month.
-- Never by sorting or by a bitmap: in a month that nobody has analyzed yet, the end of the command before would be looked for in
-- all of it.
CREATE OR REPLACE FUNCTION read_commands(p_positions bigint[]) RETURNS SETOF events LANGUAGE plpgsql STABLE
SET enable_sort TO off SET enable_bitmapscan TO off SET enable_seqscan TO off AS $$
DECLARE
    v_position bigint;
    v_month    months;
    v_before   bigint;      -- the end of the command before
    v_done     bigint := 0; -- the end of the last command that was read
BEGIN
    FOREACH v_position IN ARRAY p_positions LOOP
        CONTINUE WHEN v_position <= v_done;
        IF v_month.starts_at IS NULL OR v_position > v_month.last_position THEN
            PERFORM refuse_archived(v_position - 1, v_position);
            SELECT * INTO v_month FROM months m WHERE m.first_position <= v_position ORDER BY m.first_position DESC LIMIT 1;
        END IF;
        SELECT e.position INTO v_before FROM events e
        WHERE e.position < v_position AND e.following = 0
            AND e.recorded_at >= v_month.starts_at AND e.recorded_at < v_month.ends_at
        ORDER BY e.position DESC LIMIT 1;
        SELECT e.position + e.following INTO v_done FROM events e
        WHERE e.position = v_position AND e.recorded_at >= v_month.starts_at AND e.recorded_at < v_month.ends_at;
        RETURN QUERY SELECT * FROM events e
        WHERE e.position > coalesce(v_before, v_month.first_position - 1) AND e.position <= v_done
            AND e.recorded_at >= v_month.starts_at AND e.recorded_at < v_month.ends_at
        ORDER BY e.position;
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION read_commands FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_commands TO dora_state_writer, dora_state_projector;

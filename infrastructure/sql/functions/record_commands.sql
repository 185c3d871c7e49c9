-- Keeps the answers of a group's commands, none of which is known. Arguments as in append.
CREATE OR REPLACE FUNCTION record_commands(
    p_head bigint, p_times timestamptz[], p_command_ids uuid[], p_answers bytea[], p_command_lasts int[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_commands bigint;
BEGIN
    INSERT INTO commands (command_id, answer, recorded_at, first_position, last_position)
    SELECT u.id, u.answer, u.at,
        CASE WHEN u.last > u.before THEN p_head + u.before + 1 END, CASE WHEN u.last > u.before THEN p_head + u.last END
    FROM unnest(p_command_ids, p_answers, p_times, p_command_lasts, (0 || p_command_lasts)[:cardinality(p_command_lasts)])
        AS u (id, answer, at, last, before)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_commands = ROW_COUNT;
    IF v_commands <> cardinality(p_command_ids) THEN
        PERFORM refuse_append('a command id comes once');
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION record_commands FROM PUBLIC;

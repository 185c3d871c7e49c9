-- Fills the claims of the commands that were accepted with their answers, and takes back those in conflict.
CREATE OR REPLACE FUNCTION record_commands(
    p_command_ids uuid[], p_answers bytea[], p_outcomes text[], p_times timestamptz[], p_firsts bigint[], p_lasts bigint[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE commands c SET answer = u.answer, recorded_at = p_times[u.k], first_position = p_firsts[u.k], last_position = p_lasts[u.k]
    FROM unnest(p_command_ids, p_answers) WITH ORDINALITY AS u (id, answer, k)
    WHERE c.command_id = u.id AND p_outcomes[u.k] = 'appended';
    IF 'conflict' = ANY (p_outcomes) THEN
        DELETE FROM commands c USING unnest(p_command_ids) WITH ORDINALITY AS u (id, k)
        WHERE c.command_id = u.id AND p_outcomes[u.k] = 'conflict';
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION record_commands FROM PUBLIC;

-- The end of the last command that is whole at or before a position: its last position and when it was recorded; 0 and null
-- where there is none. A command lies in one month, so two months are looked at.
CREATE OR REPLACE FUNCTION whole_command(p_position bigint, OUT last_position bigint, OUT last_recorded_at timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_from  timestamptz;
    v_until timestamptz;
BEGIN
    SELECT min(m.starts_at), max(m.ends_at) INTO v_from, v_until FROM (
        SELECT * FROM months n WHERE n.first_position <= p_position ORDER BY n.first_position DESC LIMIT 2
    ) m;
    PERFORM refuse_archived(p_position - 1, p_position);
    SELECT e.position, e.recorded_at INTO last_position, last_recorded_at FROM events e
    WHERE e.position <= p_position AND e.following = 0 AND e.recorded_at >= v_from AND e.recorded_at < v_until
    ORDER BY e.position DESC LIMIT 1;
    last_position := coalesce(last_position, 0);
END $$;

REVOKE EXECUTE ON FUNCTION whole_command FROM PUBLIC;
GRANT EXECUTE ON FUNCTION whole_command TO dora_state_writer, dora_state_projector;

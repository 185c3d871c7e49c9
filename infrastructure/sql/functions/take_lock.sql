-- Has the caller hold a stream, whose session has the advisory lock of it already. Gives the fencing token, which rises from holder
-- to holder. Under the append lock: whatever was appended before is committed, and whatever comes after sees the lock.
CREATE OR REPLACE FUNCTION take_lock(p_stream_id text, p_holder text, p_session_start timestamptz, p_seconds double precision)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_token bigint;
BEGIN
    PERFORM append_lock();
    INSERT INTO locks AS l (stream_id, token, holder, pid, session_start, taken_at, held_until)
    SELECT p_stream_id, nextval('lock_tokens'), p_holder, pg_backend_pid(), p_session_start, c.clock,
        c.clock + make_interval(secs => p_seconds)
    FROM (SELECT clock_timestamp() AS clock) c
    ON CONFLICT (stream_id) DO UPDATE SET token = excluded.token, holder = excluded.holder, pid = excluded.pid,
        session_start = excluded.session_start, taken_at = excluded.taken_at, held_until = excluded.held_until
    RETURNING l.token INTO v_token;
    RETURN v_token;
END $$;

REVOKE EXECUTE ON FUNCTION take_lock FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_lock TO dora_state_writer;

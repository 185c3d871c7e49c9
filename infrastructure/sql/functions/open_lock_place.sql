-- A place for a process that will hold locks, for as long as the session that calls it lasts.
CREATE OR REPLACE FUNCTION open_lock_place(p_process text, p_seconds double precision) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_place bigint := hashtextextended('dora_state lock place ' || gen_random_uuid(), 0);
BEGIN
    PERFORM clear_lock_places();
    PERFORM pg_advisory_lock(v_place);
    INSERT INTO lock_places (place, process, pid, seen_until)
    VALUES (v_place, p_process, pg_backend_pid(), clock_timestamp() + make_interval(secs => p_seconds));
    RETURN v_place;
END $$;

REVOKE EXECUTE ON FUNCTION open_lock_place FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_lock_place TO dora_state_writer;

-- The process of a place is still there: gives the ids of all that it holds and waits for, null where the place is gone. One that was
-- not heard of in time is gone for good, with its locks, whether another has taken them or not: somebody may have written meanwhile.
CREATE OR REPLACE FUNCTION keep_lock_place(p_place bigint, p_seconds double precision) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM clear_lock_places();
    UPDATE lock_places SET seen_until = clock_timestamp() + make_interval(secs => p_seconds)
    WHERE place IN (SELECT v.place FROM live_places() v WHERE v.place = p_place);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(
        SELECT l.id FROM live_locks() l WHERE l.place = p_place UNION ALL SELECT w.id FROM lock_waiters w WHERE w.place = p_place
    );
END $$;

REVOKE EXECUTE ON FUNCTION keep_lock_place FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_lock_place TO dora_state_writer;

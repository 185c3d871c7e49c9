-- Wait for a stream from now on: gives the token where it could be had at once, else null. Whoever asks looks later by
-- look_for_locks.
CREATE OR REPLACE FUNCTION ask_for_lock(
    p_id uuid, p_place bigint, p_stream_id text, p_holder text, p_owner text, p_party text, p_holds bigint[],
    p_hold_seconds double precision
) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO lock_waiters (id, stream_id, place, holder, owner, party, holds, hold_seconds, since)
    VALUES (p_id, p_stream_id, p_place, p_holder, p_owner, p_party, p_holds, p_hold_seconds, clock_timestamp());
    PERFORM take_locks(p_place);
    RETURN (SELECT l.token FROM locks l WHERE l.id = p_id);
END $$;

REVOKE EXECUTE ON FUNCTION ask_for_lock FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ask_for_lock TO dora_state_writer;

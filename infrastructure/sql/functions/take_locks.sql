-- Those of a place whose turn it is hold what they waited for. Each gets a fencing token, which rises from holder to holder. Under
-- the append lock: whatever was appended before is committed, and whatever comes after sees the lock. It is asked for only where
-- somebody's turn has come.
CREATE OR REPLACE FUNCTION take_locks(p_place bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM next_for_locks(p_place)) THEN
        RETURN;
    END IF;
    PERFORM append_lock();
    INSERT INTO locks AS l (stream_id, token, id, place, holder, owner, party, taken_at, hold_seconds, held_until)
    SELECT w.stream_id, nextval('lock_tokens'), w.id, w.place, w.holder, w.owner, w.party, c.clock, w.hold_seconds,
        coalesce(c.clock + make_interval(secs => w.hold_seconds), 'infinity')
    FROM next_for_locks(p_place) w, (SELECT clock_timestamp() AS clock) c
    ON CONFLICT (stream_id) DO UPDATE SET token = excluded.token, id = excluded.id, place = excluded.place,
        holder = excluded.holder, owner = excluded.owner, party = excluded.party, taken_at = excluded.taken_at,
        hold_seconds = excluded.hold_seconds, held_until = excluded.held_until;
    DELETE FROM lock_waiters w USING locks l WHERE w.place = p_place AND l.id = w.id;
END $$;

REVOKE EXECUTE ON FUNCTION take_locks FROM PUBLIC;

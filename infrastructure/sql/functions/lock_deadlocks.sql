-- Who of a place is the last of some who wait for each other. Each waits for those who hold what he wants: they are known by the
-- tokens that they said they hold, or by the name of their party. Nobody waits for his own party: it may be many that share a name.
CREATE OR REPLACE FUNCTION lock_deadlocks(p_place bigint) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE waits AS MATERIALIZED (
        SELECT w.id, w.ticket, w.place, b.id AS next
        FROM live_locks() l
        JOIN lock_waiters w ON w.stream_id = l.stream_id
        JOIN lock_waiters b ON l.token = ANY (b.holds) OR l.party = b.party AND w.party IS DISTINCT FROM b.party
        WHERE w.place IN (SELECT p.place FROM live_places() p) AND b.place IN (SELECT p.place FROM live_places() p)
    ), paths AS (
        SELECT w.id, w.ticket, w.next FROM waits w WHERE w.place = p_place
        UNION
        SELECT p.id, p.ticket, w.next FROM paths p JOIN waits w ON w.id = p.next WHERE w.ticket < p.ticket
    )
    SELECT DISTINCT p.id FROM paths p WHERE p.next = p.id
$$;

REVOKE EXECUTE ON FUNCTION lock_deadlocks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_deadlocks TO dora_state_writer;

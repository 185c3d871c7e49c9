-- Who of a place may have what he waits for: nobody holds it, and nobody who is there came before him.
CREATE OR REPLACE FUNCTION next_for_locks(p_place bigint) RETURNS SETOF lock_waiters LANGUAGE sql STABLE AS $$
    WITH places AS MATERIALIZED (SELECT p.place FROM live_places() p)
    SELECT w.*
    FROM lock_waiters w
    WHERE w.place = p_place AND p_place IN (SELECT p.place FROM places p)
        AND NOT EXISTS (
            SELECT FROM locks l
            WHERE l.stream_id = w.stream_id AND l.held_until > clock_timestamp() AND l.place IN (SELECT p.place FROM places p)
        )
        AND NOT EXISTS (
            SELECT FROM lock_waiters b
            WHERE b.stream_id = w.stream_id AND b.ticket < w.ticket AND b.place IN (SELECT p.place FROM places p)
        )
$$;

REVOKE EXECUTE ON FUNCTION next_for_locks FROM PUBLIC;

-- Takes away what those have left behind who are gone, and locks whose time is over; in one order by all who do.
CREATE OR REPLACE FUNCTION clear_lock_places() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    DELETE FROM lock_places WHERE place IN (
        SELECT p.place FROM lock_places p WHERE p.place NOT IN (SELECT v.place FROM live_places() v)
        ORDER BY p.place FOR UPDATE SKIP LOCKED
    );
    DELETE FROM locks WHERE token IN (
        SELECT l.token FROM locks l WHERE l.held_until <= clock_timestamp() ORDER BY l.token FOR UPDATE SKIP LOCKED
    );
END $$;

REVOKE EXECUTE ON FUNCTION clear_lock_places FROM PUBLIC;

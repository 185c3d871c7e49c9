-- The places whose process is there: its session has the advisory lock of the place, and it was heard of of late.
CREATE OR REPLACE FUNCTION live_places() RETURNS SETOF lock_places LANGUAGE sql STABLE AS $$
    SELECT p.*
    FROM lock_places p
    WHERE p.seen_until > clock_timestamp() AND p.place IN (
        SELECT a.classid::bigint << 32 | a.objid::bigint
        FROM pg_locks a
        WHERE a.locktype = 'advisory' AND a.granted AND a.objsubid = 1
            AND a.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
    )
$$;

REVOKE EXECUTE ON FUNCTION live_places FROM PUBLIC;
GRANT EXECUTE ON FUNCTION live_places TO dora_state_writer, dora_state_projector;

-- The locks that count: whose session is there, holds the advisory lock, and was heard of of late.
CREATE OR REPLACE FUNCTION live_locks() RETURNS SETOF locks LANGUAGE sql STABLE AS $$
    SELECT l.*
    FROM locks l
    WHERE l.held_until > clock_timestamp() AND EXISTS (
        SELECT FROM pg_locks a
        WHERE a.locktype = 'advisory' AND a.pid = l.pid AND a.granted AND a.objsubid = 1
            AND a.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND (a.classid::bigint << 32 | a.objid::bigint) = lock_key(l.stream_id)
    )
$$;

REVOKE EXECUTE ON FUNCTION live_locks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION live_locks TO dora_state_writer, dora_state_projector;

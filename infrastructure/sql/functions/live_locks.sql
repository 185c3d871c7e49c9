-- Before those who wait had places.
DROP FUNCTION IF EXISTS keep_locks(bigint[], double precision);
DROP FUNCTION IF EXISTS release_lock(bigint);
DROP FUNCTION IF EXISTS take_lock(text, text, timestamptz, double precision);
DROP FUNCTION IF EXISTS lock_key(text);

-- The locks that count: whose process is there, and whose time is not over.
CREATE OR REPLACE FUNCTION live_locks() RETURNS SETOF locks LANGUAGE sql STABLE AS $$
    SELECT l.* FROM locks l WHERE l.held_until > clock_timestamp() AND l.place IN (SELECT p.place FROM live_places() p)
$$;

REVOKE EXECUTE ON FUNCTION live_locks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION live_locks TO dora_state_writer, dora_state_projector;

-- The clock that recorded_at is read from. A function, so that a drill can set it wrong; only the role
-- that migrates can.
CREATE OR REPLACE FUNCTION log_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp()
$$;

REVOKE EXECUTE ON FUNCTION log_clock FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_clock TO dora_state_projector;  -- for health, which tells of one that is set wrong

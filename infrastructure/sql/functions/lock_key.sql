-- The advisory lock by which those who want a stream to themselves wait for each other.
CREATE OR REPLACE FUNCTION lock_key(p_stream_id text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT hashtextextended('dora_state lock ' || current_schema() || ' ' || p_stream_id, 0)
$$;

REVOKE EXECUTE ON FUNCTION lock_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_key TO dora_state_writer, dora_state_projector;

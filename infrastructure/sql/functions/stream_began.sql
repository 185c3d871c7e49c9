-- When a stream's first event was recorded, whether that is archived or not; null where there is no such stream.
CREATE OR REPLACE FUNCTION stream_began(p_stream_id text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT s.first_recorded_at FROM streams s WHERE s.stream_id = p_stream_id
$$;

REVOKE EXECUTE ON FUNCTION stream_began FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stream_began TO dora_state_writer, dora_state_projector;

-- The next streams by their ids.
CREATE OR REPLACE FUNCTION streams_after(p_stream_id text, p_limit int) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT s.stream_id FROM streams s WHERE s.stream_id > p_stream_id COLLATE "C" ORDER BY s.stream_id LIMIT p_limit
$$;

REVOKE EXECUTE ON FUNCTION streams_after FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streams_after TO dora_state_writer, dora_state_projector;

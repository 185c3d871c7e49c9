-- Whole streams at once, each in order of versions, as of a position (null: now).
CREATE OR REPLACE FUNCTION read_streams(p_stream_ids text[], p_until_position bigint) RETURNS SETOF events
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_stream_id text;
BEGIN
    FOREACH v_stream_id IN ARRAY p_stream_ids LOOP
        RETURN QUERY SELECT * FROM read_stream(v_stream_id, -1, NULL, NULL, NULL, p_until_position, false, NULL);
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION read_streams FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_streams TO dora_state_writer, dora_state_projector;

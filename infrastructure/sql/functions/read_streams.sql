-- Many streams at once, each in order of versions, after the version given for it (-1: whole), as of a position (null:
-- now).
CREATE OR REPLACE FUNCTION read_streams(p_stream_ids text[], p_after bigint[], p_until_position bigint) RETURNS SETOF events
LANGUAGE plpgsql STABLE AS $$
BEGIN
    FOR k IN 1 .. cardinality(p_stream_ids) LOOP
        RETURN QUERY
        SELECT * FROM read_stream(p_stream_ids[k], p_after[k], NULL, NULL, NULL, p_until_position, false, NULL);
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION read_streams FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_streams TO dora_state_writer, dora_state_projector;

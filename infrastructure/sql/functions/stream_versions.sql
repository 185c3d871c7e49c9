-- The versions of streams, null where one does not exist.
CREATE OR REPLACE FUNCTION stream_versions(p_stream_ids text[]) RETURNS bigint[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_versions bigint[] := open_versions(p_stream_ids);
BEGIN
    IF array_position(v_versions, NULL) IS NOT NULL THEN
        RETURN older_versions(p_stream_ids, v_versions);
    END IF;
    RETURN v_versions;
END $$;

REVOKE EXECUTE ON FUNCTION stream_versions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stream_versions TO dora_state_writer, dora_state_projector;

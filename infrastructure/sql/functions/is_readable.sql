-- Whether a document can be looked into: what was spoiled by hand may hold what no text may.
CREATE OR REPLACE FUNCTION is_readable(p_document json) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN p_document::jsonb IS NOT NULL;
EXCEPTION WHEN data_exception THEN
    RETURN false;
END $$;

REVOKE EXECUTE ON FUNCTION is_readable FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_readable TO dora_state_projector;

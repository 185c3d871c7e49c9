-- The time that a document says; what is none is told apart from all that there are.
CREATE OR REPLACE FUNCTION said_time(p_text text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN p_text::timestamptz;
EXCEPTION WHEN data_exception THEN
    RETURN '-infinity';
END $$;

REVOKE EXECUTE ON FUNCTION said_time FROM PUBLIC;
GRANT EXECUTE ON FUNCTION said_time TO dora_state_projector;

-- The number that a document says; what is none is told apart from all that there are.
CREATE OR REPLACE FUNCTION said_number(p_text text) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN p_text::numeric;
EXCEPTION WHEN data_exception THEN
    RETURN 'NaN';
END $$;

REVOKE EXECUTE ON FUNCTION said_number FROM PUBLIC;
GRANT EXECUTE ON FUNCTION said_number TO dora_state_projector;

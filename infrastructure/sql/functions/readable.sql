-- Stored bytes as jsonb, for people; what jsonb can't hold (such as \u0000) comes as a JSON string.
CREATE OR REPLACE FUNCTION readable(p_bytes bytea) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN convert_from(p_bytes, 'UTF8')::jsonb;
EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation THEN
    RETURN to_jsonb(encode(p_bytes, 'escape'));
END $$;

REVOKE EXECUTE ON FUNCTION readable FROM PUBLIC;
GRANT EXECUTE ON FUNCTION readable TO dora_state_writer, dora_state_projector;

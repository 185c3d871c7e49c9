-- Refuses a call of append that breaks a rule; null: none is broken.
CREATE OR REPLACE FUNCTION refuse_append(p_rule text) RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_rule IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'DS002', MESSAGE = 'append is refused: ' || p_rule,
            DETAIL = jsonb_build_object('rule', p_rule);
    END IF;
    RETURN NULL;
END $$;

REVOKE EXECUTE ON FUNCTION refuse_append FROM PUBLIC;

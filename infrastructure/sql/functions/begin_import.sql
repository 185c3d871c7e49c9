-- Puts an empty tenant into the mode importing: from now on only the import of that id appends. The same
-- import may begin again, so that it goes on after a crash.
CREATE OR REPLACE FUNCTION begin_import(p_import_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_import_id uuid;
BEGIN
    PERFORM append_lock();
    SELECT import_id INTO STRICT v_import_id FROM mode;
    IF v_import_id = p_import_id THEN
        RETURN;
    ELSIF v_import_id IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'DS003', MESSAGE = 'another import has begun and not ended',
            DETAIL = jsonb_build_object('import_id', v_import_id);
    ELSIF (log_head()).last_position > 0 OR EXISTS (SELECT FROM commands) THEN
        RAISE EXCEPTION USING ERRCODE = 'DS004', MESSAGE = 'an import goes into an empty tenant only',
            DETAIL = jsonb_build_object('last_position', (log_head()).last_position);
    END IF;
    UPDATE mode SET import_id = p_import_id;
END $$;

REVOKE EXECUTE ON FUNCTION begin_import FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_import TO dora_state_writer;

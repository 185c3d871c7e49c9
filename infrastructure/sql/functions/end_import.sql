-- Ends the import of that id: the tenant is live.
CREATE OR REPLACE FUNCTION end_import(p_import_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_import_id uuid;
BEGIN
    PERFORM append_lock();
    SELECT import_id INTO STRICT v_import_id FROM mode;
    IF v_import_id IS DISTINCT FROM p_import_id THEN
        RAISE EXCEPTION USING ERRCODE = 'DS004', MESSAGE = 'this import has not begun or has ended',
            DETAIL = jsonb_build_object('import_id', v_import_id);
    END IF;
    UPDATE mode SET import_id = NULL;
END $$;

REVOKE EXECUTE ON FUNCTION end_import FROM PUBLIC;
GRANT EXECUTE ON FUNCTION end_import TO dora_state_writer;

-- Which of those who wait in a place have their lock by now, under which token: also those of whom the answer was lost.
CREATE OR REPLACE FUNCTION look_for_locks(p_place bigint, p_ids uuid[]) RETURNS TABLE (id uuid, token bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM take_locks(p_place);
    RETURN QUERY SELECT l.id, l.token FROM locks l WHERE l.id = ANY (p_ids);
END $$;

REVOKE EXECUTE ON FUNCTION look_for_locks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION look_for_locks TO dora_state_writer;

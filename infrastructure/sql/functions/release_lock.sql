-- The holder of a token needs it no more.
CREATE OR REPLACE FUNCTION release_lock(p_token bigint) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM locks WHERE token = p_token
$$;

REVOKE EXECUTE ON FUNCTION release_lock FROM PUBLIC;
GRANT EXECUTE ON FUNCTION release_lock TO dora_state_writer;

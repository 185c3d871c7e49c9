-- The holder of these tokens is still there: gives those that still count. One that was not heard of in time has lost its lock
-- for good, whether another has taken it or not: somebody may have written meanwhile.
CREATE OR REPLACE FUNCTION keep_locks(p_tokens bigint[], p_seconds double precision) RETURNS SETOF bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE locks l SET held_until = clock_timestamp() + make_interval(secs => p_seconds)
    FROM live_locks() v
    WHERE l.token = ANY (p_tokens) AND v.token = l.token
    RETURNING l.token
$$;

REVOKE EXECUTE ON FUNCTION keep_locks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_locks TO dora_state_writer;

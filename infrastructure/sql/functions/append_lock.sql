-- Takes the tenant's append lock, until the transaction ends. Held, it makes positions contiguous, and the
-- order of commits their order. It is the only lock of an append.
CREATE OR REPLACE FUNCTION append_lock() RETURNS void LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('dora_state append ' || current_schema(), 0))
$$;

REVOKE EXECUTE ON FUNCTION append_lock FROM PUBLIC;

-- Takes the append lock for the transaction that calls it, so that it can read, decide and append while nobody else
-- appends. One that then does nothing is ended before it has stopped others for long.
CREATE OR REPLACE FUNCTION claim_log() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM append_lock();
    PERFORM set_config('idle_in_transaction_session_timeout', '2s', true);
END $$;

REVOKE EXECUTE ON FUNCTION claim_log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_log TO dora_state_writer;

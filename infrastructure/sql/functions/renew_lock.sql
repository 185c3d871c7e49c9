-- The owner of a lock is still there: gives until when it is held now, null where it does not count any more.
CREATE OR REPLACE FUNCTION renew_lock(p_token bigint) RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE locks SET held_until = clock_timestamp() + make_interval(secs => hold_seconds)
    WHERE token = p_token AND hold_seconds IS NOT NULL AND held_until > clock_timestamp() AND place IN (SELECT p.place FROM live_places() p)
    RETURNING held_until
$$;

REVOKE EXECUTE ON FUNCTION renew_lock FROM PUBLIC;
GRANT EXECUTE ON FUNCTION renew_lock TO dora_state_writer;

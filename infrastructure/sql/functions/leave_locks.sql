-- Whoever waits or holds by these ids does no more; those who may come next are told.
CREATE OR REPLACE FUNCTION leave_locks(p_ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_stream_ids text[];
BEGIN
    WITH waited AS (DELETE FROM lock_waiters WHERE id = ANY (p_ids) RETURNING stream_id),
        held AS (DELETE FROM locks WHERE id = ANY (p_ids) RETURNING stream_id)
    SELECT array_agg(stream_id) INTO v_stream_ids FROM (SELECT * FROM waited UNION ALL SELECT * FROM held) AS _;
    IF EXISTS (SELECT FROM lock_waiters WHERE stream_id = ANY (v_stream_ids)) THEN
        PERFORM pg_notify(left('dora_state locks ' || current_schema(), 63), '');
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION leave_locks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION leave_locks TO dora_state_writer;

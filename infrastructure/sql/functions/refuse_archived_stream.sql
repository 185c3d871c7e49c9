-- Refuses to read a stream's versions after one when some of them are archived. Months are archived from the
-- oldest on, so a stream that began after the last archived one lacks nothing.
CREATE OR REPLACE FUNCTION refuse_archived_stream(p_stream streams, p_after bigint) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_archived_until timestamptz := (SELECT max(m.ends_at) FROM months m WHERE m.state = 'archived');
    v_first          bigint;  -- the first version that is not archived
BEGIN
    IF v_archived_until IS NULL OR v_archived_until <= p_stream.first_recorded_at THEN
        RETURN;
    END IF;
    SELECT coalesce(min(e.version), p_stream.version + 1) INTO v_first FROM events e
    WHERE e.stream_id = p_stream.stream_id
        AND e.recorded_at >= v_archived_until
        AND e.recorded_at < (SELECT m.ends_at FROM months m WHERE m.starts_at = p_stream.month);
    IF p_after + 1 < v_first THEN
        RAISE EXCEPTION USING ERRCODE = 'DS007',
            MESSAGE = format('the versions of %s before %s are archived (%s)', p_stream.stream_id, v_first,
                archived_from(p_stream.first_recorded_at)),
            DETAIL = jsonb_build_object('stream_id', p_stream.stream_id, 'first_version', v_first,
                'partitions', archived_from(p_stream.first_recorded_at));
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION refuse_archived_stream FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refuse_archived_stream TO dora_state_writer, dora_state_projector;

-- Detaches a month's partition and keeps in `months` what it holds, so that positions go on after it. The
-- table stays, detached. From the oldest month on, in order. The caller owns the log (dora_state_migrator).
-- A month that was detached by hand is recorded the same way.
CREATE OR REPLACE FUNCTION archive_month(p_partition text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_month months;
    v_first record;
    v_last  record;
BEGIN
    PERFORM append_lock();
    SELECT * INTO STRICT v_month FROM months m WHERE m.partition = p_partition AND m.state = 'attached';
    EXECUTE format('SELECT position, recorded_at FROM %I ORDER BY position LIMIT 1', p_partition) INTO v_first;
    EXECUTE format('SELECT position, recorded_at FROM %I ORDER BY position DESC LIMIT 1', p_partition) INTO v_last;
    IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = to_regclass(p_partition)) THEN
        IF EXISTS (SELECT FROM months m WHERE m.state = 'attached' AND m.first_position < v_first.position) THEN
            RAISE EXCEPTION USING ERRCODE = 'DS002', MESSAGE = 'months are archived from the oldest on',
                DETAIL = jsonb_build_object('partition', p_partition);
        END IF;
        EXECUTE format('ALTER TABLE events DETACH PARTITION %I', p_partition);
    END IF;
    IF v_last.position IS NULL THEN
        DELETE FROM months m WHERE m.partition = p_partition;
        RETURN;
    END IF;
    -- Streams that have had no events since can't be asked there any more.
    EXECUTE format(
        'UPDATE streams s SET version = e.version
        FROM (SELECT stream_id, max(version) AS version FROM %I GROUP BY stream_id) e
        WHERE s.stream_id = e.stream_id AND s.month = %L', p_partition, v_month.starts_at);
    UPDATE months m SET
        state = 'archived',
        first_position = v_first.position,
        first_recorded_at = v_first.recorded_at,
        last_position = v_last.position,
        last_recorded_at = v_last.recorded_at,
        -- The newest month may go on in a second partition.
        ends_at = CASE WHEN m.last_position IS NULL THEN v_last.recorded_at + interval '1 microsecond' ELSE m.ends_at END
    WHERE m.partition = p_partition;
    PERFORM point_to_open_month();
END $$;

REVOKE EXECUTE ON FUNCTION archive_month FROM PUBLIC;

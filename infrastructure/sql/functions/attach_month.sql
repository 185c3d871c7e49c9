-- Attaches a month again that was archived, with all that it held: its table must be here as it was. From the newest
-- archived month on, backwards, so that what is archived is always the oldest part. The caller owns the log
-- (dora_state_migrator).
CREATE OR REPLACE FUNCTION attach_month(p_partition text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_month months;
    v_whole boolean;
BEGIN
    PERFORM append_lock();
    SELECT * INTO STRICT v_month FROM months m WHERE m.partition = p_partition AND m.state = 'archived';
    IF EXISTS (SELECT FROM months m WHERE m.state = 'archived' AND m.first_position > v_month.first_position) THEN
        RAISE EXCEPTION USING ERRCODE = 'DS002', MESSAGE = 'months are attached again from the newest archived one on',
            DETAIL = jsonb_build_object('partition', p_partition);
    END IF;
    EXECUTE format(
        'SELECT min(position) = %s AND max(position) = %s AND count(*) = %s FROM %I',
        v_month.first_position, v_month.last_position, v_month.last_position - v_month.first_position + 1, p_partition
    ) INTO v_whole;
    IF v_whole IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'DS002', MESSAGE = 'the table does not hold what was archived',
            DETAIL = jsonb_build_object('partition', p_partition, 'first_position', v_month.first_position,
                'last_position', v_month.last_position);
    END IF;
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        p_partition, v_month.starts_at, v_month.ends_at);
    UPDATE months m SET state = 'attached' WHERE m.partition = p_partition;
    PERFORM point_to_open_month();
END $$;

REVOKE EXECUTE ON FUNCTION attach_month FROM PUBLIC;

-- When the commands of an append are recorded: the clock's time or a microsecond after the last event, whichever is
-- later, and then a microsecond from command to command; an import says it. Refuses what the tenant's mode or a
-- wrong clock forbids. The caller holds the append lock.
CREATE OR REPLACE FUNCTION append_times(p_import_id uuid, p_recorded_at timestamptz[], p_last timestamptz, p_commands int)
RETURNS timestamptz[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_mode  mode;
    v_clock timestamptz := log_clock();
    v_first timestamptz;
BEGIN
    SELECT * INTO STRICT v_mode FROM mode;
    IF v_mode.import_id IS NOT NULL AND p_import_id IS DISTINCT FROM v_mode.import_id THEN
        RAISE EXCEPTION USING ERRCODE = 'DS003', MESSAGE = 'the tenant is importing; only the import may append',
            DETAIL = jsonb_build_object('import_id', v_mode.import_id);
    ELSIF v_mode.import_id IS NULL AND p_import_id IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'DS004', MESSAGE = 'the tenant is live; no import appends',
            DETAIL = jsonb_build_object('import_id', p_import_id);
    ELSIF p_import_id IS NULL AND p_last > v_clock + v_mode.clock_bound THEN
        RAISE EXCEPTION USING ERRCODE = 'DS005',
            MESSAGE = 'the last recorded time is too far ahead of the clock',
            DETAIL = jsonb_build_object('last_recorded_at', p_last, 'clock', v_clock,
                'bound_seconds', extract(epoch FROM v_mode.clock_bound));
    ELSIF p_import_id IS NULL THEN
        v_first := greatest(v_clock, p_last + interval '1 microsecond');
        RETURN ARRAY(SELECT v_first + k * interval '1 microsecond' FROM generate_series(0, p_commands - 1) AS k);
    ELSIF EXISTS (
        SELECT FROM unnest(p_recorded_at) WITH ORDINALITY AS u (at, k)
        WHERE at > v_clock OR at < p_last OR (k > 1 AND at < p_recorded_at[k - 1]) OR NOT isfinite(at)
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'DS004',
            MESSAGE = 'an import appends in the order of recorded_at, none before the last event or in the future',
            DETAIL = jsonb_build_object('last_recorded_at', p_last, 'clock', v_clock);
    END IF;
    RETURN p_recorded_at;
END $$;

REVOKE EXECUTE ON FUNCTION append_times FROM PUBLIC;

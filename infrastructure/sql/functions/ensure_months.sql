-- Makes the missing months from one time to another, both included; returns the names of those made.
CREATE OR REPLACE FUNCTION ensure_months(p_from timestamptz, p_to timestamptz) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_months timestamptz[];
BEGIN
    IF p_from > p_to OR NOT isfinite(p_from) OR NOT isfinite(p_to) OR p_to - p_from > interval '36525 days' THEN
        RAISE EXCEPTION USING ERRCODE = 'DS002', MESSAGE = 'months are made from a time to a later one, 100 years at most',
            DETAIL = jsonb_build_object('from', p_from, 'to', p_to);
    END IF;
    -- The moment before a month's end: what is left of a month whose beginning is archived counts too.
    SELECT array_agg((m + interval '1 month') AT TIME ZONE 'UTC' - interval '1 microsecond' ORDER BY m) INTO v_months
    FROM generate_series(date_trunc('month', p_from AT TIME ZONE 'UTC'), p_to AT TIME ZONE 'UTC', interval '1 month') m
    WHERE NOT has_month((m + interval '1 month') AT TIME ZONE 'UTC' - interval '1 microsecond');
    IF v_months IS NULL THEN
        RETURN;
    END IF;
    PERFORM append_lock();
    RETURN QUERY SELECT make_month(m) FROM unnest(v_months) m WHERE NOT has_month(m);
END $$;

REVOKE EXECUTE ON FUNCTION ensure_months FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_months TO dora_state_writer, dora_state_projector;

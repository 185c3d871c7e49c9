-- log_head() gives the last event's position (0: none) and time, from the newest month that holds events, and
-- `open_until`: the end of that month, while events go into it. Every append asks it. So its query is written down
-- for the one partition, and its plan kept; an EXECUTE, planned anew each time, took a hundred microseconds, and the
-- partitioned table itself locks every month there is. point_log_head() writes it anew when a month is opened or
-- archived; the caller holds the append lock. A session that waited for that lock may not have heard of it: append
-- looks. An archived month counts by what `months` keeps of it.
CREATE OR REPLACE FUNCTION point_log_head() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_month months;
    v_query text := 'SELECT 0::bigint, NULL::timestamptz, NULL::timestamptz';
BEGIN
    SELECT * INTO v_month FROM months m WHERE m.first_position IS NOT NULL ORDER BY m.first_position DESC LIMIT 1;
    IF v_month.last_position IS NOT NULL THEN
        v_query := format('SELECT %s::bigint, %L::timestamptz, NULL::timestamptz', v_month.last_position, v_month.last_recorded_at);
    ELSIF v_month.partition IS NOT NULL THEN
        -- Not open where somebody has detached it by hand.
        v_query := format(
            'SELECT e.position, e.recorded_at, (
                SELECT %L::timestamptz FROM pg_inherits i WHERE i.inhrelid = %s AND NOT i.inhdetachpending
            ) FROM %I e ORDER BY e.position DESC LIMIT 1',
            v_month.ends_at, v_month.partition::regclass::oid, v_month.partition);
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION log_head(OUT last_position bigint, OUT last_recorded_at timestamptz, OUT open_until timestamptz)
        LANGUAGE plpgsql STABLE AS %L',
        'BEGIN ' || v_query || ' INTO STRICT last_position, last_recorded_at, open_until; END');
END $$;

REVOKE EXECUTE ON FUNCTION point_log_head FROM PUBLIC;

SELECT append_lock(), point_log_head();

REVOKE EXECUTE ON FUNCTION log_head FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_head TO dora_state_writer, dora_state_projector;

-- What every append asks and writes of the month that is open, written down for its one partition. So plans are kept: an
-- EXECUTE, planned anew each time, took a hundred microseconds, and the partitioned table itself locks every month there
-- is, and finds the right one anew for each insert.
--
--   log_head()       the last event's position (0: none) and time, and from when until when the month is, while events go
--                    into it
--   open_versions()  the versions of streams that have events in it, null for the others
--   read_streams()   as make_read_streams says
--   append()         as make_append says
--
-- point_to_open_month() writes them anew when a month is opened, archived or attached; the caller holds the append lock. A
-- session that waited for that lock may not have heard of it: they look into `months`, and append asks again. An archived
-- month counts by what `months` keeps of it.
CREATE OR REPLACE FUNCTION point_to_open_month() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_month    months;
    v_before   months;  -- what is the head for who does not see the first events of the open month yet
    v_is_open  boolean;
    v_head     text := 'SELECT 0::bigint, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz';
    v_versions text := 'NULL::bigint';
BEGIN
    SELECT * INTO v_month FROM months m WHERE m.first_position IS NOT NULL ORDER BY m.first_position DESC LIMIT 1;
    SELECT * INTO v_before FROM months m WHERE m.last_position IS NOT NULL ORDER BY m.last_position DESC LIMIT 1;
    v_is_open := v_month.partition IS NOT NULL AND v_month.last_position IS NULL;
    IF v_is_open THEN
        -- Not open where somebody has detached it by hand.
        v_head := format(
            'SELECT e.position, e.recorded_at, i.starts_at, i.ends_at FROM %I e LEFT JOIN (
                SELECT %L::timestamptz AS starts_at, %L::timestamptz AS ends_at
                FROM pg_inherits i WHERE i.inhrelid = %s AND NOT i.inhdetachpending
            ) i ON true ORDER BY e.position DESC LIMIT 1',
            v_month.partition, v_month.starts_at, v_month.ends_at, v_month.partition::regclass::oid);
        v_versions := format(
            '(SELECT e.version FROM %I e WHERE e.stream_id = u.id ORDER BY e.version DESC LIMIT 1)', v_month.partition);
    ELSIF v_month.partition IS NOT NULL THEN
        v_head := format('SELECT %s::bigint, %L::timestamptz, NULL::timestamptz, NULL::timestamptz',
            v_month.last_position, v_month.last_recorded_at);
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION log_head(
            OUT last_position bigint, OUT last_recorded_at timestamptz, OUT open_from timestamptz, OUT open_until timestamptz
        ) LANGUAGE plpgsql STABLE AS %L',
        'BEGIN ' || v_head || ' INTO last_position, last_recorded_at, open_from, open_until;'
        || format(' IF NOT FOUND THEN last_position := %s; last_recorded_at := %L; END IF; END',
            coalesce(v_before.last_position, 0), v_before.last_recorded_at));
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION open_versions(p_stream_ids text[]) RETURNS bigint[] LANGUAGE plpgsql STABLE AS %L',
        'BEGIN RETURN ARRAY(SELECT ' || v_versions || ' FROM unnest(p_stream_ids) AS u (id)); END');
    PERFORM make_read_streams(CASE WHEN v_is_open THEN v_month.partition END, v_month.starts_at);
    PERFORM make_append(CASE WHEN v_is_open THEN v_month.partition END, v_month.starts_at, v_month.ends_at);
END $$;

REVOKE EXECUTE ON FUNCTION point_to_open_month FROM PUBLIC;

SELECT append_lock(), point_to_open_month();

REVOKE EXECUTE ON FUNCTION log_head, open_versions, read_streams, append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_head, open_versions, read_streams TO dora_state_writer, dora_state_projector;
GRANT EXECUTE ON FUNCTION append TO dora_state_writer;

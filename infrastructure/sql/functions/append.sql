-- Appends a group of commands; the only way to write the log. Returns one row a command: what became of it.
--
--   command      its place in the group, from 1
--   outcome      appended | already recorded | conflict
--   recorded_at, first_position, last_position   where it is (positions null: it gave no events)
--   answer       of the one already recorded
--   stream_id, expected, actual                  of the first conflict
--
-- A claim says that a command read or writes a stream, and the version that it expects: 0 (or -1, to start
-- the versions at 0) when the stream does not exist. It counts the events of the commands before it in the
-- group. Streams, claims and events are named by their place in these arrays, from 1; claims and events are
-- in the order of their commands. p_recorded_at and p_import_id are an import's only, else null.
--
-- The order of claims is: command ids sorted, streams sorted, append lock; so nothing deadlocks. Several
-- statements under READ COMMITTED, so that each sees what was committed while the one before it waited.
CREATE OR REPLACE FUNCTION append(
    p_command_ids uuid[], p_answers bytea[], p_recorded_at timestamptz[],
    p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[],
    p_event_claims int[], p_event_ids uuid[], p_event_types text[], p_event_schema_versions int[],
    p_event_data bytea[], p_event_metadata bytea[],
    p_import_id uuid DEFAULT NULL
) RETURNS TABLE (
    command int, outcome text, recorded_at timestamptz, first_position bigint, last_position bigint,
    answer bytea, stream_id text, expected bigint, actual bigint
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    v_known  boolean[];
    v_counts int[];
    v_lows   int[];
    v_highs  int[];
    v_locked boolean[];
    v_head   record;
    v_clock  timestamptz;
    v_group  record;
    v_made   bigint;
BEGIN
    PERFORM check_append(p_command_ids, p_answers, p_recorded_at, p_stream_ids, p_claim_commands, p_claim_streams,
        p_claim_expected, p_event_claims, ARRAY[cardinality(p_event_ids), cardinality(p_event_types),
        cardinality(p_event_schema_versions), cardinality(p_event_data), cardinality(p_event_metadata)], p_import_id);

    v_known := claim_commands(p_command_ids);
    IF true = ANY (v_known) THEN
        RETURN QUERY
        SELECT u.k::int, 'already recorded', c.recorded_at, c.first_position, c.last_position, c.answer,
            NULL::text, NULL::bigint, NULL::bigint
        FROM unnest(p_command_ids, v_known) WITH ORDINALITY AS u (id, known, k)
        JOIN commands c ON c.command_id = u.id
        WHERE u.known;
    END IF;
    IF NOT false = ANY (v_known) THEN
        RETURN;
    END IF;

    SELECT array_agg(coalesce(e.count, 0) ORDER BY k), array_agg(e.low ORDER BY k), array_agg(e.high ORDER BY k)
    INTO v_counts, v_lows, v_highs
    FROM generate_series(1, cardinality(p_claim_commands)) AS k
    LEFT JOIN (
        SELECT u.claim, count(*)::int AS count, min(u.place)::int AS low, max(u.place)::int AS high
        FROM unnest(p_event_claims) WITH ORDINALITY AS u (claim, place)
        GROUP BY u.claim
    ) e ON e.claim = k;
    v_locked := lock_streams(p_stream_ids, p_claim_streams, v_counts);
    PERFORM append_lock();  -- from here on nothing in this log changes but by us

    v_head := log_head();
    v_clock := check_mode(p_import_id, p_recorded_at, v_head.last_recorded_at);
    v_group := decide_group(v_known, p_recorded_at, p_stream_ids, p_claim_commands, p_claim_streams, p_claim_expected,
        v_counts, v_lows, v_highs, v_locked, v_head.last_position,
        greatest(v_clock, v_head.last_recorded_at + interval '1 microsecond'));
    IF v_group.events <> cardinality(p_event_claims) THEN
        RAISE EXCEPTION USING ERRCODE = 'DS002', MESSAGE = 'append is refused: each event has a claim',
            DETAIL = jsonb_build_object('rule', 'each event has a claim');
    END IF;

    v_made := make_months(v_group.firsts, v_group.times);
    PERFORM record_events(v_group.offsets, v_group.lasts, v_group.times, p_stream_ids, p_claim_commands, p_claim_streams,
        p_claim_expected, p_event_claims, p_event_ids, p_event_types, p_event_schema_versions, p_event_data, p_event_metadata);
    PERFORM record_streams(p_stream_ids, v_group.versions, v_group.began, v_group.ended);
    PERFORM record_commands(p_command_ids, p_answers, v_group.outcomes, v_group.times, v_group.firsts, v_group.lasts);
    IF v_made > 0 OR v_head.open_until IS NULL OR v_head.open_until <= (SELECT max(t) FROM unnest(v_group.times) AS t) THEN
        PERFORM open_months(v_head.last_position, v_head.last_recorded_at, v_group.firsts, v_group.lasts, v_group.times);
    END IF;

    RETURN QUERY
    SELECT k, v_group.outcomes[k], v_group.times[k], v_group.firsts[k], v_group.lasts[k], NULL::bytea,
        p_stream_ids[p_claim_streams[v_group.conflicts[k]]], p_claim_expected[v_group.conflicts[k]], v_group.actuals[k]
    FROM generate_series(1, cardinality(p_command_ids)) AS k
    WHERE v_group.outcomes[k] IS NOT NULL;
END $$;

REVOKE EXECUTE ON FUNCTION append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append TO dora_state_writer;

-- Appends a group of commands; the only way to write the log. Returns what became of them, in rows of
--
--   command      its place in the group, from 1; null: the row is of all the others, which were appended
--   outcome      appended | already recorded | conflict
--   recorded_at  when; of the commands appended, when the group's first one would have been: each is as many
--                microseconds later as its place in the group, or when the import says
--   first_position, last_position   null: there were no events; those of the appended follow each other in order
--   answer       of the one already recorded
--   stream_id, expected, actual     of the first conflict
--
-- Commands, streams, claims and events are named by their place in these arrays, from 1; claims and events are in
-- the order of their commands. p_command_lasts counts the events of a command and of those before it. A claim
-- says that a command reads or writes a stream, which version it expects there and how many events it adds; it
-- expects 0 (or -1, to start the versions at 0) where the stream does not exist, and counts the events of the
-- commands before it in the group. p_recorded_at and p_import_id are an import's only, else null.
--
-- All happens under the tenant's append lock, the only lock there is, so that nothing deadlocks; in several
-- statements under READ COMMITTED, so that each sees what was committed while the lock was waited for. Their
-- plans are made once a session and go by index: a log that grows fast outruns its statistics.
CREATE OR REPLACE FUNCTION append(
    p_command_ids uuid[], p_answers bytea[], p_command_lasts int[], p_recorded_at timestamptz[],
    p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[],
    p_event_claims int[], p_event_ids uuid[], p_event_types text[], p_event_schema_versions int[],
    p_event_data bytea[], p_event_metadata bytea[],
    p_import_id uuid DEFAULT NULL
) RETURNS TABLE (
    command int, outcome text, recorded_at timestamptz, first_position bigint, last_position bigint,
    answer bytea, stream_id text, expected bigint, actual bigint
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT SET plan_cache_mode TO force_generic_plan SET enable_seqscan TO off AS $$
#variable_conflict use_column
DECLARE
    v_head     record;
    v_times    timestamptz[];
    v_open     bigint[];  -- the streams' versions in the open month, null: no events in it yet
    v_versions bigint[];
    v_judged   record;
    v_first_at timestamptz;
    v_events   int;
BEGIN
    PERFORM check_append(p_command_ids, p_answers, p_command_lasts, p_recorded_at, p_stream_ids, p_claim_commands,
        p_claim_streams, p_claim_expected, p_claim_counts, p_event_types, ARRAY[cardinality(p_event_claims), cardinality(p_event_ids),
        cardinality(p_event_types), cardinality(p_event_schema_versions), cardinality(p_event_data),
        cardinality(p_event_metadata)], p_import_id);
    PERFORM append_lock();  -- from here on nothing in this log changes but by us

    v_head := log_head();
    -- Opened while we waited: that a function was written anew is only heard of when a table is looked at.
    IF EXISTS (SELECT FROM months m WHERE m.first_position > v_head.last_position) THEN
        v_head := log_head();
    END IF;
    v_times := append_times(p_import_id, p_recorded_at, v_head.last_recorded_at, cardinality(p_command_ids));
    v_first_at := v_times[1];
    v_open := open_versions(p_stream_ids);
    v_versions := v_open;
    IF array_position(v_open, NULL) IS NOT NULL THEN
        v_versions := older_versions(p_stream_ids, v_open);
    END IF;
    IF NOT is_clean(p_command_ids, p_claim_streams, p_claim_expected, p_claim_counts, v_versions) THEN
        v_judged := judge_commands(p_command_ids, p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts,
            v_versions, p_import_id IS NOT NULL);
        RETURN QUERY
        SELECT k, 'already recorded', c.recorded_at, c.first_position, c.last_position, c.answer,
            NULL::text, NULL::bigint, NULL::bigint
        FROM generate_series(1, cardinality(p_command_ids)) AS k JOIN commands c ON c.command_id = p_command_ids[k]
        WHERE v_judged.known[k];
        RETURN QUERY
        SELECT k, 'conflict', NULL::timestamptz, NULL::bigint, NULL::bigint, NULL::bytea,
            p_stream_ids[p_claim_streams[v_judged.conflicts[k]]], p_claim_expected[v_judged.conflicts[k]],
            v_judged.actuals[k]
        FROM generate_series(1, cardinality(p_command_ids)) AS k
        WHERE v_judged.conflicts[k] IS NOT NULL;
        -- What is left is a group of its own, and nothing stands against it.
        SELECT * INTO STRICT p_command_ids, p_answers, p_command_lasts, v_times, p_claim_commands,
            p_claim_streams, p_claim_expected, p_claim_counts, p_event_claims, p_event_ids, p_event_types,
            p_event_schema_versions, p_event_data, p_event_metadata
        FROM accepted_commands(v_judged.accepted, p_command_ids, p_answers, v_times, p_claim_commands, p_claim_streams,
            p_claim_expected, p_claim_counts, p_event_claims, p_event_ids, p_event_types, p_event_schema_versions,
            p_event_data, p_event_metadata);
        IF p_command_ids IS NULL THEN
            RETURN;
        END IF;
    END IF;

    PERFORM open_months(v_head.last_position, v_head.last_recorded_at, v_head.open_until, v_times, p_command_lasts);
    PERFORM record_events(v_head.last_position, v_times, p_command_lasts, p_stream_ids, p_claim_commands,
        p_claim_streams, p_claim_expected, p_claim_counts, p_event_claims, p_event_ids, p_event_types,
        p_event_schema_versions, p_event_data, p_event_metadata);
    PERFORM record_streams(p_stream_ids, v_open, v_head.open_from, v_head.open_until, v_times, p_claim_commands,
        p_claim_streams, p_claim_expected, p_claim_counts);
    PERFORM record_commands(v_head.last_position, v_times, p_command_ids, p_answers, p_command_lasts);

    v_events := cardinality(p_event_ids);
    RETURN QUERY SELECT NULL::int, 'appended', v_first_at,
        CASE WHEN v_events > 0 THEN v_head.last_position + 1 END,
        CASE WHEN v_events > 0 THEN v_head.last_position + v_events END,
        NULL::bytea, NULL::text, NULL::bigint, NULL::bigint;
END $$;

REVOKE EXECUTE ON FUNCTION append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append TO dora_state_writer;

-- Before there were locks.
DROP FUNCTION IF EXISTS append_closely(
    uuid[], bytea[], int[], timestamptz[], text[], int[], int[], bigint[], int[], int[], uuid[], text[], int[], bytea[], bytea[], uuid
);
DROP FUNCTION IF EXISTS judge_commands(uuid[], int[], int[], bigint[], int[], bigint[], boolean);
DROP FUNCTION IF EXISTS append(
    uuid[], bytea[], int[], timestamptz[], text[], int[], int[], bigint[], int[], int[], uuid[], text[], int[], bytea[], bytea[], uuid
);

-- What append does where something stands against a group as it is, or it opens a month: looks at each command, answers those
-- that are known or in conflict, opens months, and appends what is left. Arguments and rows as append; the caller
-- holds the append lock.
CREATE OR REPLACE FUNCTION append_closely(
    p_command_ids uuid[], p_answers bytea[], p_command_lasts int[], p_recorded_at timestamptz[],
    p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[],
    p_event_claims int[], p_event_ids uuid[], p_event_types text[], p_event_schema_versions int[],
    p_event_data bytea[], p_event_metadata bytea[],
    p_import_id uuid, p_token_commands int[], p_tokens bigint[]
) RETURNS TABLE (
    command int, outcome text, recorded_at timestamptz, first_position bigint, last_position bigint,
    answer bytea, stream_id text, expected bigint, actual bigint
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    v_events   int := cardinality(p_event_ids);
    v_head     record;
    v_times    timestamptz[];
    v_open     bigint[];  -- the streams' versions in the open month, null: no events in it yet
    v_versions bigint[];
    v_judged   record;
    v_locked   boolean[];  -- by command: a lock forbids it; null: none does
    v_first_at timestamptz;
BEGIN
    PERFORM check_claims(p_command_ids, p_command_lasts, p_recorded_at, p_stream_ids, p_claim_commands,
        p_claim_streams, p_claim_expected, p_claim_counts, v_events);
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
    IF p_tokens IS NOT NULL OR EXISTS (SELECT FROM locks) THEN
        SELECT array_agg(l.command IS NOT NULL ORDER BY k) INTO v_locked
        FROM generate_series(1, cardinality(p_command_ids)) AS k
        LEFT JOIN locked_out(p_stream_ids, p_claim_commands, p_claim_streams, p_claim_counts, p_token_commands, p_tokens) l
            ON l.command = k;
    END IF;
    IF true = ANY (v_locked) OR NOT is_clean(p_command_ids, p_claim_streams, p_claim_expected, p_claim_counts, v_versions) THEN
        v_judged := judge_commands(p_command_ids, p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts,
            v_versions, p_import_id IS NOT NULL, v_locked);
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
        RETURN QUERY
        SELECT l.command, 'locked', NULL::timestamptz, NULL::bigint, NULL::bigint,
            convert_to(l.held::text, 'UTF8'), l.stream_id, NULL::bigint, NULL::bigint
        FROM locked_out(p_stream_ids, p_claim_commands, p_claim_streams, p_claim_counts, p_token_commands, p_tokens) l
        WHERE v_judged.locked[l.command];
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
    PERFORM record_group(v_head.last_position, v_times, p_command_ids, p_answers, p_command_lasts, p_stream_ids,
        p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts, p_event_claims, p_event_ids, p_event_types,
        p_event_schema_versions, p_event_data, p_event_metadata);
    PERFORM record_streams(p_stream_ids, v_open, v_head.open_from, v_head.open_until, v_times, p_claim_commands,
        p_claim_streams, p_claim_expected, p_claim_counts);
    v_events := cardinality(p_event_ids);
    RETURN QUERY SELECT NULL::int, 'appended', v_first_at,
        CASE WHEN v_events > 0 THEN v_head.last_position + 1 END,
        CASE WHEN v_events > 0 THEN v_head.last_position + v_events END,
        NULL::bytea, NULL::text, NULL::bigint, NULL::bigint;
END $$;

REVOKE EXECUTE ON FUNCTION append_closely FROM PUBLIC;

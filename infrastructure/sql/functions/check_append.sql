-- Refuses a call of append that is not well-formed. See append for the arguments. What costs more to see here
-- than where it is used, is seen there (is_clean, record_events, record_streams, record_commands). What needs no query is
-- asked first, and what one command or one stream can't break is not asked of it: a lone command pays for each.
CREATE OR REPLACE FUNCTION check_append(
    p_command_ids uuid[], p_answers bytea[], p_command_lasts int[], p_recorded_at timestamptz[], p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[],
    p_event_types text[], p_event_arrays int[], p_import_id uuid
) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_commands int := cardinality(p_command_ids);
    v_claims   int := cardinality(p_claim_commands);
    v_broken   text;
    v_counted  bigint;
    v_ordered  boolean;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'DS001', MESSAGE = 'append works under READ COMMITTED only',
            DETAIL = jsonb_build_object('isolation', current_setting('transaction_isolation'));
    END IF;
    v_broken := CASE
        WHEN v_commands IS NULL OR v_commands = 0 THEN 'there is at least one command'
        WHEN (cardinality(p_answers) = v_commands AND cardinality(p_command_lasts) = v_commands) IS NOT TRUE
            OR array_position(p_command_ids, NULL) IS NOT NULL OR array_position(p_answers, NULL) IS NOT NULL
            THEN 'each command has an id, an answer and a count of events'
        WHEN (p_import_id IS NULL) <> (p_recorded_at IS NULL) THEN 'only an import says recorded_at'
        WHEN p_recorded_at IS NOT NULL AND (
            cardinality(p_recorded_at) <> v_commands OR array_position(p_recorded_at, NULL) IS NOT NULL)
            THEN 'an import says recorded_at for each command'
        WHEN (cardinality(p_claim_streams) = v_claims AND cardinality(p_claim_expected) = v_claims
            AND cardinality(p_claim_counts) = v_claims AND p_stream_ids IS NOT NULL) IS NOT TRUE
            THEN 'each claim has a command, a stream, an expected version and a count of events'
        WHEN (p_event_arrays[1] = ALL (p_event_arrays) AND p_event_arrays[1] = p_command_lasts[v_commands]) IS NOT TRUE
            THEN 'each event has a claim, an id, a type, a schema version, data and metadata, and is counted'
        WHEN '' = ANY (p_event_types) THEN 'the type of an event has a name'
    END;
    PERFORM refuse_append(v_broken);

    SELECT sum(u.count), bool_and((u.before <= u.command AND u.command BETWEEN 1 AND v_commands
        AND u.expected IS NOT NULL AND u.count >= 0 AND u.stream BETWEEN 1 AND cardinality(p_stream_ids)) IS TRUE)
    INTO v_counted, v_ordered
    FROM unnest((1 || p_claim_commands)[:v_claims], p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts)
        AS u (before, command, stream, expected, count);
    v_broken := CASE
        WHEN NOT v_ordered THEN 'claims are in the order of their commands, each on one of the streams'
        WHEN p_event_arrays[1] <> coalesce(v_counted, 0)
            THEN 'each event has a claim, an id, a type, a schema version, data and metadata, and is counted'
    END;
    PERFORM refuse_append(v_broken);
    IF cardinality(p_stream_ids) > 1
        AND (SELECT count(DISTINCT s COLLATE "C") FROM unnest(p_stream_ids) s) <> cardinality(p_stream_ids) THEN
        PERFORM refuse_append('a stream id comes once');
    END IF;
    IF v_commands > 1 AND EXISTS (
        SELECT FROM unnest((0 || p_command_lasts)[:v_commands], p_command_lasts) AS u (before, last)
        WHERE (u.before <= u.last) IS NOT TRUE
    ) THEN
        PERFORM refuse_append('the counts of events rise from command to command');
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION check_append FROM PUBLIC;

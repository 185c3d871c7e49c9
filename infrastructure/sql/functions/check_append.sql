-- Refuses a call of append that is not well-formed. See append for the arguments.
CREATE OR REPLACE FUNCTION check_append(
    p_command_ids uuid[], p_answers bytea[], p_recorded_at timestamptz[], p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_event_claims int[],
    p_event_arrays int[], p_import_id uuid
) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_commands int := cardinality(p_command_ids);
    v_wrong    text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'DS001', MESSAGE = 'append works under READ COMMITTED only',
            DETAIL = jsonb_build_object('isolation', current_setting('transaction_isolation'));
    END IF;
    v_wrong := CASE
        WHEN v_commands IS NULL OR v_commands <> cardinality(p_answers) THEN 'each command has an id and an answer'
        WHEN array_position(p_command_ids, NULL) IS NOT NULL OR array_position(p_answers, NULL) IS NOT NULL
            THEN 'each command has an id and an answer'
        WHEN (SELECT count(DISTINCT c) FROM unnest(p_command_ids) c) <> v_commands THEN 'a command id comes once'
        WHEN (p_import_id IS NULL) <> (p_recorded_at IS NULL) THEN 'only an import says recorded_at'
        WHEN p_recorded_at IS NOT NULL AND (
            cardinality(p_recorded_at) <> v_commands OR array_position(p_recorded_at, NULL) IS NOT NULL)
            THEN 'an import says recorded_at for each command'
        WHEN (SELECT count(DISTINCT s) FROM unnest(p_stream_ids) s) IS DISTINCT FROM cardinality(p_stream_ids)::bigint
            THEN 'a stream id comes once'
        WHEN cardinality(p_claim_commands) IS DISTINCT FROM cardinality(p_claim_streams)
            OR cardinality(p_claim_commands) IS DISTINCT FROM cardinality(p_claim_expected)
            OR array_position(p_claim_expected, NULL) IS NOT NULL
            THEN 'each claim has a command, a stream and an expected version'
        WHEN EXISTS (
            SELECT FROM (
                SELECT c, s, lag(c) OVER (ORDER BY k) AS before, count(*) OVER (PARTITION BY c, s) AS times
                FROM unnest(p_claim_commands, p_claim_streams) WITH ORDINALITY AS u (c, s, k)
            ) u
            WHERE c < before OR times > 1 OR c IS NULL OR s IS NULL
                OR c NOT BETWEEN 1 AND v_commands OR s NOT BETWEEN 1 AND cardinality(p_stream_ids)
        ) THEN 'claims are in the order of their commands, one for each of its streams'
        WHEN EXISTS (SELECT FROM unnest(p_event_arrays) n WHERE n IS DISTINCT FROM cardinality(p_event_claims))
            THEN 'each event has a claim, an id, a type, a schema version, data and metadata'
    END;
    IF v_wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'DS002', MESSAGE = 'append is refused: ' || v_wrong,
            DETAIL = jsonb_build_object('rule', v_wrong);
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION check_append FROM PUBLIC;

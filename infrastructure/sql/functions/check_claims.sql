-- Refuses a call of append that breaks a rule which takes a query to see. See append for the arguments. Not asked of an
-- ordinary group or a lone command: their queries see to most of it, and the keys of the tables to an id or a stream that
-- comes twice.
CREATE OR REPLACE FUNCTION check_claims(
    p_command_ids uuid[], p_command_lasts int[], p_recorded_at timestamptz[], p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[], p_events int
) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_commands int := cardinality(p_command_ids);
    v_counted  bigint;
    v_ordered  boolean;
BEGIN
    SELECT sum(u.count), bool_and((u.before <= u.command AND u.command BETWEEN 1 AND v_commands
        AND u.expected IS NOT NULL AND u.count >= 0 AND u.stream BETWEEN 1 AND cardinality(p_stream_ids)) IS TRUE)
    INTO v_counted, v_ordered
    FROM unnest((1 || p_claim_commands)[:cardinality(p_claim_commands)], p_claim_commands, p_claim_streams, p_claim_expected,
        p_claim_counts) AS u (before, command, stream, expected, count);
    PERFORM refuse_append(CASE
        WHEN cardinality(p_recorded_at) <> v_commands OR array_position(p_recorded_at, NULL) IS NOT NULL
            THEN 'an import says recorded_at for each command'
        WHEN NOT v_ordered THEN 'claims are in the order of their commands, each on one of the streams'
        WHEN p_events <> coalesce(v_counted, 0)
            THEN 'each event has a claim, an id, a type, a schema version, data and metadata, and is counted'
        WHEN (SELECT count(DISTINCT s COLLATE "C") FROM unnest(p_stream_ids) s) <> cardinality(p_stream_ids)
            THEN 'a stream id comes once'
        WHEN (SELECT count(DISTINCT id) FROM unnest(p_command_ids) id) <> v_commands THEN 'a command id comes once'
        WHEN EXISTS (
            SELECT FROM unnest((0 || p_command_lasts)[:v_commands], p_command_lasts) AS u (before, last)
            WHERE (u.before <= u.last) IS NOT TRUE
        ) THEN 'the counts of events rise from command to command'
    END);
END $$;

REVOKE EXECUTE ON FUNCTION check_claims FROM PUBLIC;

-- Notes the streams that begin with a group, and those that have their first events in a month; as a rule there are none.
-- Arguments as in append; p_open are the streams' versions in the open month before (null: no events in it yet).
CREATE OR REPLACE FUNCTION record_streams(
    p_stream_ids text[], p_open bigint[], p_open_from timestamptz, p_open_until timestamptz, p_times timestamptz[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_same_month boolean := coalesce(p_times[cardinality(p_times)] < p_open_until, false);
BEGIN
    IF v_same_month AND array_position(p_open, NULL) IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO streams (stream_id, first_recorded_at, month, version)
    SELECT DISTINCT ON (w.stream)
        CASE WHEN char_length(p_stream_ids[w.stream]) <= 512
                AND p_stream_ids[w.stream] ~ '^[^-\u0001-\u001f\u007f-\u009f]+-[^\u0001-\u001f\u007f-\u009f]+$'
            THEN p_stream_ids[w.stream]
            ELSE refuse_append('a stream id is category-id, without control characters, 512 characters at most')::text END,
        min(w.at) OVER (PARTITION BY w.stream),
        w.month,
        min(w.expected) OVER (PARTITION BY w.stream, w.month)
    FROM (
        SELECT c.stream, c.expected, p_times[c.command] AS at,
            CASE WHEN v_same_month THEN p_open_from ELSE (
                SELECT m.starts_at FROM months m
                WHERE m.state = 'attached' AND m.starts_at <= p_times[c.command] AND p_times[c.command] < m.ends_at
            ) END AS month
        FROM unnest(p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts) AS c (command, stream, expected, count)
        WHERE c.count > 0 AND NOT (v_same_month AND p_open[c.stream] IS NOT NULL)
    ) w
    ORDER BY w.stream, w.month DESC
    ON CONFLICT (stream_id) DO UPDATE SET
        month = EXCLUDED.month,
        version = CASE WHEN streams.month = EXCLUDED.month THEN streams.version ELSE EXCLUDED.version END;
END $$;

REVOKE EXECUTE ON FUNCTION record_streams FROM PUBLIC;

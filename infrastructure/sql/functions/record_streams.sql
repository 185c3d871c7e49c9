-- Moves the heads of the streams that a group writes, and makes those that begin with it. Arguments as in append; by
-- stream: its version before, null if it did not exist.
CREATE OR REPLACE FUNCTION record_streams(
    p_stream_ids text[], p_versions bigint[], p_times timestamptz[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO streams (stream_id, version, first_recorded_at, last_recorded_at)
    SELECT
        CASE WHEN p_versions[c.stream] IS NOT NULL
            OR (char_length(p_stream_ids[c.stream]) <= 512
                AND p_stream_ids[c.stream] ~ '^[^-\u0001-\u001f\u007f-\u009f]+-[^\u0001-\u001f\u007f-\u009f]+$')
            THEN p_stream_ids[c.stream]
            ELSE refuse_append('a stream id is category-id, without control characters, 512 characters at most')::text END,
        max(c.expected + c.count),
        p_times[min(c.command)],
        p_times[max(c.command)]
    FROM unnest(p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts) AS c (command, stream, expected, count)
    WHERE c.count > 0
    GROUP BY c.stream
    ON CONFLICT (stream_id) DO UPDATE SET version = EXCLUDED.version, last_recorded_at = EXCLUDED.last_recorded_at;
END $$;

REVOKE EXECUTE ON FUNCTION record_streams FROM PUBLIC;

-- Whether nothing stands against any command of a group: no id is known, and each claim's expectation is what
-- the stream and the commands before it in the group make true. By stream: its version, null if it does not exist.
-- The caller holds the append lock.
CREATE OR REPLACE FUNCTION is_clean(
    p_command_ids uuid[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[], p_versions bigint[]
) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM commands c WHERE c.command_id = ANY (p_command_ids)) THEN
        RETURN false;
    ELSIF cardinality(p_claim_streams) = 1 THEN
        RETURN p_claim_expected[1] = coalesce(p_versions[p_claim_streams[1]], greatest(least(p_claim_expected[1], 0), -1));
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM (
            SELECT u.stream, u.expected, lag(u.expected + u.count) OVER (PARTITION BY u.stream ORDER BY u.place) AS reached
            FROM unnest(p_claim_streams, p_claim_expected, p_claim_counts) WITH ORDINALITY AS u (stream, expected, count, place)
        ) u
        WHERE u.expected <> coalesce(u.reached, p_versions[u.stream], greatest(least(u.expected, 0), -1))
    );
END $$;

REVOKE EXECUTE ON FUNCTION is_clean FROM PUBLIC;

-- Those commands of a group that are accepted, as a group of their own: append's arrays, named anew. Nulls where
-- no command is left.
CREATE OR REPLACE FUNCTION accepted_commands(
    p_accepted boolean[], p_command_ids uuid[], p_answers bytea[], p_times timestamptz[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[],
    p_event_claims int[], p_event_ids uuid[], p_event_types text[], p_event_schema_versions int[],
    p_event_data bytea[], p_event_metadata bytea[],
    OUT command_ids uuid[], OUT answers bytea[], OUT command_lasts int[], OUT times timestamptz[],
    OUT claim_commands int[], OUT claim_streams int[], OUT claim_expected bigint[], OUT claim_counts int[],
    OUT event_claims int[], OUT event_ids uuid[], OUT event_types text[], OUT event_schema_versions int[],
    OUT event_data bytea[], OUT event_metadata bytea[]
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_places int[];  -- of those that are left, in the group before
    v_claims int[];  -- by claim: its new name, null if it is left out
BEGIN
    SELECT array_agg(u.k::int ORDER BY u.k), array_agg(u.id ORDER BY u.k), array_agg(u.answer ORDER BY u.k),
        array_agg(u.at ORDER BY u.k)
    INTO v_places, command_ids, answers, times
    FROM unnest(p_command_ids, p_answers, p_times, p_accepted) WITH ORDINALITY AS u (id, answer, at, accepted, k)
    WHERE u.accepted;

    SELECT coalesce(array_agg(array_position(v_places, u.command) ORDER BY u.k), '{}'),
        coalesce(array_agg(u.stream ORDER BY u.k), '{}'),
        coalesce(array_agg(u.expected ORDER BY u.k), '{}'),
        coalesce(array_agg(u.count ORDER BY u.k), '{}')
    INTO claim_commands, claim_streams, claim_expected, claim_counts
    FROM unnest(p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts)
        WITH ORDINALITY AS u (command, stream, expected, count, k)
    WHERE p_accepted[u.command];

    v_claims := ARRAY(
        SELECT CASE WHEN p_accepted[u.command] THEN (count(*) FILTER (WHERE p_accepted[u.command]) OVER (ORDER BY u.k))::int END
        FROM unnest(p_claim_commands) WITH ORDINALITY AS u (command, k)
        ORDER BY u.k
    );
    SELECT coalesce(array_agg(v_claims[u.claim] ORDER BY u.k), '{}'),
        coalesce(array_agg(u.id ORDER BY u.k), '{}'),
        coalesce(array_agg(u.type ORDER BY u.k), '{}'),
        coalesce(array_agg(u.schema_version ORDER BY u.k), '{}'),
        coalesce(array_agg(u.data ORDER BY u.k), '{}'),
        coalesce(array_agg(u.metadata ORDER BY u.k), '{}')
    INTO event_claims, event_ids, event_types, event_schema_versions, event_data, event_metadata
    FROM unnest(p_event_claims, p_event_ids, p_event_types, p_event_schema_versions, p_event_data, p_event_metadata)
        WITH ORDINALITY AS u (claim, id, type, schema_version, data, metadata, k)
    WHERE p_accepted[p_claim_commands[u.claim]];

    command_lasts := ARRAY(
        SELECT coalesce(sum(c.count), 0)::int
        FROM generate_series(1, cardinality(v_places)) AS k
        LEFT JOIN unnest(claim_commands, claim_counts) AS c (command, count) ON c.command <= k
        GROUP BY k ORDER BY k
    );
END $$;

REVOKE EXECUTE ON FUNCTION accepted_commands FROM PUBLIC;

-- The statement that judges and stores a command that comes alone and fits lone_condition, the most common append of a log that is
-- not busy. It finds nothing where anything stands against the command, or a stream has no events in the open month, and has
-- stored nothing then.
CREATE OR REPLACE FUNCTION lone_statement(p_partition text, p_ends_at timestamptz) RETURNS text
LANGUAGE sql STABLE AS $function$
    SELECT format($statement$
    WITH clear AS MATERIALIZED (  -- so that the clock is asked once, whatever the plan
        SELECT h.position, t.first_at
        FROM %2$s
        WHERE %3$s
            AND t.first_at < %4$L
            AND NOT EXISTS (SELECT FROM commands c WHERE c.command_id = p_command_ids[1])
            AND NOT EXISTS (
                SELECT FROM unnest(p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts)
                    WITH ORDINALITY AS u (command, stream, expected, count, place)
                WHERE (
                    u.command = 1 AND u.stream = u.place AND u.count >= 0 AND u.expected = (
                        SELECT e.version FROM %1$I e WHERE e.stream_id = p_stream_ids[u.stream] AND e.version >= u.expected
                        ORDER BY e.version DESC LIMIT 1
                    )
                ) IS NOT TRUE
            )
    ), recorded AS (
        INSERT INTO %1$I (position, recorded_at, version, event_id, schema_version, following, stream_id, type, data, metadata)
        SELECT
            c.position + e.place,
            c.first_at,
            p_claim_expected[e.claim] + 1,
            e.id,
            e.schema_version,
            cardinality(p_event_ids) - e.place,
            p_stream_ids[e.claim],
            e.type,
            e.data,
            e.metadata
        FROM clear c
        CROSS JOIN unnest(p_event_claims, p_event_ids, p_event_types, p_event_schema_versions, p_event_data, p_event_metadata)
            WITH ORDINALITY AS e (claim, id, type, schema_version, data, metadata, place)
        RETURNING position, recorded_at, following
    )
    INSERT INTO commands AS c (command_id, answer, recorded_at, first_position, last_position)
    SELECT p_command_ids[1], p_answers[1], r.recorded_at, r.position - cardinality(p_event_ids) + 1, r.position
    FROM recorded r WHERE r.following = 0
    RETURNING c.recorded_at, c.first_position, c.last_position INTO recorded_at, first_position, last_position;
    $statement$, p_partition, head_items(p_partition), head_condition(p_partition), p_ends_at)
$function$;

REVOKE EXECUTE ON FUNCTION lone_statement FROM PUBLIC;

-- The statement that judges and stores a command that comes alone, in one: the most common append of a log that is not busy. As
-- text, for make_append. It finds nothing where anything is not ordinary, and has stored nothing then: a command without events, a
-- stream that begins or has two events of it, all that is told at the query for a group.
CREATE OR REPLACE FUNCTION lone_statement(p_partition text, p_ends_at timestamptz) RETURNS text
LANGUAGE sql STABLE AS $function$
    SELECT format($statement$
    WITH recorded AS (
        INSERT INTO %1$I (position, recorded_at, version, event_id, schema_version, following, stream_id, type, data, metadata)
        SELECT
            h.position + e.place,
            t.first_at,
            CASE WHEN p_claim_counts[e.claim] = 1 THEN p_claim_expected[e.claim] + 1 END,  -- null is refused
            e.id,
            e.schema_version,
            cardinality(p_event_ids) - e.place,
            p_stream_ids[e.claim],
            e.type,
            e.data,
            e.metadata
        FROM (SELECT e.position, e.recorded_at FROM %1$I e ORDER BY e.position DESC LIMIT 1) h
        CROSS JOIN mode m
        CROSS JOIN LATERAL (
            SELECT c.clock, greatest(c.clock, h.recorded_at + interval '1 microsecond') AS first_at
            FROM (SELECT log_clock() AS clock OFFSET 0) c
            OFFSET 0
        ) t
        CROSS JOIN unnest(p_event_claims, p_event_ids, p_event_types, p_event_schema_versions, p_event_data, p_event_metadata)
            WITH ORDINALITY AS e (claim, id, type, schema_version, data, metadata, place)
        WHERE p_import_id IS NULL AND m.import_id IS NULL
            AND h.recorded_at <= t.clock + m.clock_bound
            AND t.first_at < %2$L
            AND NOT EXISTS (SELECT FROM commands c WHERE c.command_id = p_command_ids[1])
            AND NOT EXISTS (SELECT FROM months o WHERE o.first_position > h.position)
            AND pg_partition_root(%3$s) = %4$s
            AND cardinality(p_stream_ids) = cardinality(p_claim_streams)
            AND cardinality(array_positions(p_claim_counts, 1)) = cardinality(p_event_ids)
            AND NOT EXISTS (
                SELECT FROM unnest(p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts)
                    WITH ORDINALITY AS u (command, stream, expected, count, place)
                WHERE (
                    u.command = 1 AND u.stream = u.place AND u.count BETWEEN 0 AND 1 AND u.expected = (
                        SELECT e.version FROM %1$I e WHERE e.stream_id = p_stream_ids[u.stream] AND e.version >= u.expected
                        ORDER BY e.version DESC LIMIT 1
                    )
                ) IS NOT TRUE
            )
        RETURNING position, recorded_at, following
    )
    INSERT INTO commands AS c (command_id, answer, recorded_at, first_position, last_position)
    SELECT p_command_ids[1], p_answers[1], r.recorded_at, r.position - cardinality(p_event_ids) + 1, r.position
    FROM recorded r WHERE r.following = 0
    RETURNING c.recorded_at, c.first_position, c.last_position INTO recorded_at, first_position, last_position;
    $statement$, p_partition, p_ends_at, p_partition::regclass::oid, 'events'::regclass::oid)
$function$;

REVOKE EXECUTE ON FUNCTION lone_statement FROM PUBLIC;

-- The statements that store a group in which nothing is in conflict: its events in a table (`events`, or the one partition that all
-- of them go into), at their positions and versions, and its answers. As text, for the functions that are made of them:
-- the arguments are append's, v_last_position is the last position before them, v_times is when each command is
-- recorded, and v_nths is a variable for them.
CREATE OR REPLACE FUNCTION insert_statements(p_table text) RETURNS text LANGUAGE sql STABLE AS $function$
    SELECT format($statements$
    IF 2 <= ANY (p_claim_counts) THEN  -- by event: which one of its claim's it is; null: each is the first
        v_nths := ARRAY(
            SELECT row_number() OVER (PARTITION BY u.claim ORDER BY u.place)
            FROM unnest(p_event_claims) WITH ORDINALITY AS u (claim, place) ORDER BY u.place
        );
    END IF;
    WITH recorded AS (
        INSERT INTO %I (position, recorded_at, version, event_id, schema_version, following, stream_id, type, data, metadata)
        SELECT
            v_last_position + e.place,
            v_times[e.command],
            CASE WHEN coalesce(v_nths[e.place], 1) <= p_claim_counts[e.claim]
                THEN p_claim_expected[e.claim] + coalesce(v_nths[e.place], 1)
                ELSE refuse_append('each claim counts its events') END,
            e.id,
            e.schema_version,
            CASE WHEN e.place > coalesce(p_command_lasts[e.command - 1], 0) AND e.place <= p_command_lasts[e.command]
                THEN p_command_lasts[e.command] - e.place
                ELSE refuse_append('events are in the order of their commands') END,
            p_stream_ids[p_claim_streams[e.claim]],
            e.type,
            e.data,
            e.metadata
        FROM (
            SELECT u.*, p_claim_commands[u.claim] AS command
            FROM unnest(p_event_claims, p_event_ids, p_event_types, p_event_schema_versions, p_event_data, p_event_metadata)
                WITH ORDINALITY AS u (claim, id, type, schema_version, data, metadata, place)
        ) e
    )
    INSERT INTO commands (command_id, answer, recorded_at, first_position, last_position)
    SELECT u.id, u.answer, u.at,
        CASE WHEN u.last > u.before THEN v_last_position + u.before + 1
            WHEN u.last IS DISTINCT FROM u.before
            THEN refuse_append('the counts of events rise from command to command') END,
        CASE WHEN u.last > u.before THEN v_last_position + u.last END
    FROM unnest(p_command_ids, p_answers, v_times, p_command_lasts, (0 || p_command_lasts)[:cardinality(p_command_lasts)])
        AS u (id, answer, at, last, before);
    $statements$, p_table)
$function$;

REVOKE EXECUTE ON FUNCTION insert_statements FROM PUBLIC;

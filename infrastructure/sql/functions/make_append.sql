-- Appends a group of commands; the only way to write the log. Returns what became of them, in rows of
--
--   command      its place in the group, from 1; null: the row is of all the others, which were appended
--   outcome      appended | already recorded | conflict | locked
--   recorded_at  when; of the commands appended, when the group's first one would have been: each is as many
--                microseconds later as its place in the group, or when the import says
--   first_position, last_position   null: there were no events; those of the appended follow each other in order
--   answer       of the one already recorded
--   stream_id, expected, actual     of the first conflict; stream_id and answer (JSON: holder, since) of a lock, both null
--                where the command brought a token that does not count any more
--
-- Commands, streams, claims and events are named by their place in these arrays, from 1; claims and events are in
-- the order of their commands. p_command_lasts counts the events of a command and of those before it. A claim
-- says that a command reads or writes a stream, which version it expects there and how many events it adds; it
-- expects 0 (or -1, to start the versions at 0) where the stream does not exist, and counts the events of the
-- commands before it in the group. p_recorded_at and p_import_id are an import's only, else null. p_token_commands and
-- p_tokens are the fencing tokens of locks that commands are submitted under; null: there are none.
--
-- All happens under the tenant's append lock, the only lock there is, so that nothing deadlocks; in several
-- statements under READ COMMITTED, so that each sees what was committed while the lock was waited for. Their
-- plans are made once a session and go by index: a log that grows fast outruns its statistics.
--
-- make_append writes append for the partition that is open (null: none is). As a rule nothing stands against any command of a
-- group, and all of its events go into that partition. That is what append asks, in one query, and then it
-- stores the group; a command that comes alone is judged and stored in one statement, where it is simple; everything else is
-- for append_closely. Each statement that is not there, and each function that
-- is not called, is some 10 microseconds less under the lock.
CREATE OR REPLACE FUNCTION make_append(p_partition text, p_starts_at timestamptz, p_ends_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $function$
DECLARE
    v_ordinary text := '';
BEGIN
    IF p_partition IS NOT NULL THEN
        v_ordinary := 'IF' || lone_condition() || 'THEN' || lone_statement(p_partition, p_ends_at) || format($ordinary$
        IF FOUND THEN
            outcome := 'appended';
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    SELECT
        g.ready AND g.counted = cardinality(p_event_ids) AND coalesce(cardinality(g.versions), 0) = cardinality(p_stream_ids)
            AND p_import_id IS NULL AND %3$s
            AND t.first_at + cardinality(p_command_ids) * interval '1 microsecond' <= %2$L
            AND NOT EXISTS (SELECT FROM commands c WHERE c.command_id = ANY (p_command_ids)),
        h.position,
        ARRAY(SELECT t.first_at + k * interval '1 microsecond' FROM generate_series(0, cardinality(p_command_ids) - 1) AS k),
        g.versions
    INTO v_ready, v_last_position, v_times, v_versions
    FROM %4$s
    CROSS JOIN (
        SELECT
            bool_and(u.well_formed AND (u.expected = coalesce(u.reached, u.version, u.none)) IS TRUE) IS NOT FALSE AS ready,
            coalesce(sum(u.count), 0) AS counted,
            array_agg(u.version ORDER BY u.stream) FILTER (WHERE u.reached IS NULL) AS versions
        FROM (
            SELECT u.*, CASE WHEN u.reached IS NULL THEN (
                -- Only versions that matter: of those that fit, an index reads a whole page.
                SELECT e.version FROM %1$I e WHERE e.stream_id = p_stream_ids[u.stream] AND e.version >= u.expected
                ORDER BY e.version DESC LIMIT 1
            ) END AS version
            FROM (
                SELECT u.stream, u.expected, u.count, CASE WHEN u.expected BETWEEN -1 AND 0 THEN u.expected END AS none,
                    (u.before <= u.command AND u.command BETWEEN 1 AND cardinality(p_command_ids) AND u.count >= 0
                        AND u.stream BETWEEN 1 AND cardinality(p_stream_ids)) IS TRUE AS well_formed,
                    lag(u.expected + u.count) OVER (PARTITION BY u.stream ORDER BY u.place) AS reached
                FROM unnest((1 || p_claim_commands)[:cardinality(p_claim_commands)], p_claim_commands, p_claim_streams,
                    p_claim_expected, p_claim_counts) WITH ORDINALITY AS u (before, command, stream, expected, count, place)
                OFFSET 0
            ) u
            OFFSET 0
        ) u
    ) g;
    v_begins := v_ready AND array_position(v_versions, NULL) IS NOT NULL;
    IF v_begins THEN  -- some stream has no events in this month: ready only if it has none at all
        v_ready := NOT EXISTS (
            SELECT FROM unnest(p_stream_ids, v_versions) AS u (id, version) JOIN streams s ON s.stream_id = u.id
            WHERE u.version IS NULL
        );
    END IF;
    IF v_ready THEN
        $ordinary$, p_partition, p_ends_at, head_condition(p_partition), head_items(p_partition))
        || insert_statements(p_partition) || format($ordinary$
        IF v_begins THEN
            PERFORM record_streams(p_stream_ids, v_versions, %L, 'infinity', v_times, p_claim_commands, p_claim_streams,
                p_claim_expected, p_claim_counts);
        END IF;
        outcome := 'appended';
        recorded_at := v_times[1];
        IF cardinality(p_event_ids) > 0 THEN
            first_position := v_last_position + 1;
            last_position := v_last_position + cardinality(p_event_ids);
        END IF;
        RETURN NEXT;
        RETURN;
    END IF;
        $ordinary$, p_starts_at);
    END IF;
    EXECUTE format($append$
CREATE OR REPLACE FUNCTION append(
    p_command_ids uuid[], p_answers bytea[], p_command_lasts int[], p_recorded_at timestamptz[],
    p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[],
    p_event_claims int[], p_event_ids uuid[], p_event_types text[], p_event_schema_versions int[],
    p_event_data bytea[], p_event_metadata bytea[],
    p_import_id uuid DEFAULT NULL, p_token_commands int[] DEFAULT NULL, p_tokens bigint[] DEFAULT NULL
) RETURNS TABLE (
    command int, outcome text, recorded_at timestamptz, first_position bigint, last_position bigint,
    answer bytea, stream_id text, expected bigint, actual bigint
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path TO %I, pg_temp SET plan_cache_mode TO force_generic_plan SET enable_seqscan TO off AS %L
        $append$, current_schema(), $body$
#variable_conflict use_column
DECLARE
    v_broken        text;
    v_ready         boolean;  -- it is an ordinary group
    v_begins        boolean;  -- it begins streams
    v_last_position bigint;
    v_times         timestamptz[];
    v_versions      bigint[];  -- of the streams in the open month, null: no events in it yet
    v_nths          int[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'DS001', MESSAGE = 'append works under READ COMMITTED only',
            DETAIL = jsonb_build_object('isolation', current_setting('transaction_isolation'));
    END IF;
    v_broken := CASE
        WHEN cardinality(p_command_ids) IS NULL OR cardinality(p_command_ids) = 0 THEN 'there is at least one command'
        WHEN (cardinality(p_answers) = cardinality(p_command_ids) AND cardinality(p_command_lasts) = cardinality(p_command_ids))
            IS NOT TRUE
            OR array_position(p_command_ids, NULL) IS NOT NULL OR array_position(p_answers, NULL) IS NOT NULL
            THEN 'each command has an id, an answer and a count of events'
        WHEN (p_import_id IS NULL) <> (p_recorded_at IS NULL) THEN 'only an import says recorded_at'
        WHEN (cardinality(p_claim_streams) = cardinality(p_claim_commands)
            AND cardinality(p_claim_expected) = cardinality(p_claim_commands)
            AND cardinality(p_claim_counts) = cardinality(p_claim_commands) AND p_stream_ids IS NOT NULL) IS NOT TRUE
            THEN 'each claim has a command, a stream, an expected version and a count of events'
        WHEN (cardinality(p_event_claims) = cardinality(p_event_ids) AND cardinality(p_event_types) = cardinality(p_event_ids)
            AND cardinality(p_event_schema_versions) = cardinality(p_event_ids)
            AND cardinality(p_event_data) = cardinality(p_event_ids) AND cardinality(p_event_metadata) = cardinality(p_event_ids)
            AND p_command_lasts[cardinality(p_command_ids)] = cardinality(p_event_ids)) IS NOT TRUE
            THEN 'each event has a claim, an id, a type, a schema version, data and metadata, and is counted'
        WHEN (p_tokens IS NULL AND p_token_commands IS NULL OR cardinality(p_tokens) = cardinality(p_token_commands)) IS NOT TRUE
            THEN 'each token has a command'
        WHEN '' = ANY (p_event_types) THEN 'the type of an event has a name'
    END;
    IF v_broken IS NOT NULL THEN
        PERFORM refuse_append(v_broken);
    END IF;
    PERFORM append_lock();  -- from here on nothing in this log changes but by us
    $body$ || v_ordinary || $body$
    RETURN QUERY SELECT * FROM append_closely(p_command_ids, p_answers, p_command_lasts, p_recorded_at, p_stream_ids,
        p_claim_commands, p_claim_streams, p_claim_expected, p_claim_counts, p_event_claims, p_event_ids, p_event_types,
        p_event_schema_versions, p_event_data, p_event_metadata, p_import_id, p_token_commands, p_tokens);
END
    $body$);
END $function$;

REVOKE EXECUTE ON FUNCTION make_append FROM PUBLIC;

-- Decides a group of commands in order, each on what the accepted ones before it left, under the append
-- lock. Arguments as in append. In: by claim, how many events it has and their first and last place; by
-- stream, whether its row is locked. Out: by command, what became of it (null: known before); by stream
-- that is written, its new version and times.
CREATE OR REPLACE FUNCTION decide_group(
    p_known boolean[], p_recorded_at timestamptz[], p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[],
    p_counts int[], p_lows int[], p_highs int[], p_locked boolean[],
    p_position bigint, p_time timestamptz,
    OUT outcomes text[], OUT times timestamptz[],
    OUT firsts bigint[], OUT lasts bigint[],
    OUT offsets bigint[],             -- position less place in the group, of an accepted command's events
    OUT conflicts int[], OUT actuals bigint[],
    OUT versions bigint[],            -- of streams; null: does not exist
    OUT began timestamptz[], OUT ended timestamptz[],
    OUT events int                    -- all the events of all the commands
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_claim    int := 1;
    v_from     int;
    v_events   int;
    v_low      int;
    v_high     int;
    v_stream   int;
    v_writable boolean[];
    v_missing  bigint[];  -- by stream: on which version a command before would have built, and did not
BEGIN
    -- An array that is assigned from the middle would begin there.
    outcomes := array_fill(NULL::text, ARRAY[cardinality(p_known)]);
    times := array_fill(NULL::timestamptz, ARRAY[cardinality(p_known)]);
    firsts := array_fill(NULL::bigint, ARRAY[cardinality(p_known)]);
    lasts := firsts;
    offsets := firsts;
    actuals := firsts;
    conflicts := array_fill(NULL::int, ARRAY[cardinality(p_known)]);
    began := array_fill(NULL::timestamptz, ARRAY[cardinality(p_stream_ids)]);
    ended := began;
    SELECT array_agg(s.version ORDER BY u.k), array_agg(s.version IS NULL OR p_locked[u.k] ORDER BY u.k)
    INTO versions, v_writable
    FROM unnest(p_stream_ids) WITH ORDINALITY AS u (id, k) LEFT JOIN streams s ON s.stream_id = u.id;

    events := 0;
    FOR c IN 1 .. cardinality(p_known) LOOP
        v_from := v_claim;
        v_events := 0;
        v_low := NULL;
        v_high := NULL;
        WHILE p_claim_commands[v_claim] = c LOOP
            v_stream := p_claim_streams[v_claim];
            -- A stream to write that was made after the locking has no locked row: in conflict in any case.
            IF conflicts[c] IS NULL AND NOT p_known[c] AND NOT (
                coalesce(versions[v_stream] = p_claim_expected[v_claim], p_claim_expected[v_claim] IN (0, -1))
                AND (v_writable[v_stream] OR p_counts[v_claim] = 0)
                -- Decided on what that command would have left, whatever brought the stream to this version.
                AND p_claim_expected[v_claim] <= coalesce(v_missing[v_stream], p_claim_expected[v_claim])
            ) THEN
                conflicts[c] := v_claim;
                actuals[c] := coalesce(versions[v_stream], 0);
            END IF;
            v_events := v_events + p_counts[v_claim];
            v_low := least(v_low, p_lows[v_claim]);
            v_high := greatest(v_high, p_highs[v_claim]);
            v_claim := v_claim + 1;
        END LOOP;
        IF v_low <= events OR v_high > events + v_events THEN
            RAISE EXCEPTION USING ERRCODE = 'DS002', MESSAGE = 'append is refused: events are in the order of their commands',
                DETAIL = jsonb_build_object('rule', 'events are in the order of their commands', 'command', c);
        END IF;
        IF conflicts[c] IS NOT NULL THEN
            outcomes[c] := 'conflict';
        ELSIF NOT p_known[c] THEN
            outcomes[c] := 'appended';
            times[c] := coalesce(p_recorded_at[c], p_time);
            p_time := p_time + interval '1 microsecond';
            IF v_events > 0 THEN
                offsets[c] := p_position - events;
                firsts[c] := p_position + 1;
                p_position := p_position + v_events;
                lasts[c] := p_position;
            END IF;
            FOR k IN v_from .. v_claim - 1 LOOP
                IF p_counts[k] > 0 THEN
                    v_stream := p_claim_streams[k];
                    IF versions[v_stream] IS NULL THEN
                        began[v_stream] := times[c];
                    END IF;
                    versions[v_stream] := p_claim_expected[k] + p_counts[k];
                    ended[v_stream] := times[c];
                END IF;
            END LOOP;
        END IF;
        -- What is recorded already may have been decided otherwise than in this group; an import never does that.
        IF conflicts[c] IS NOT NULL OR (p_known[c] AND p_recorded_at IS NULL) THEN
            FOR k IN v_from .. v_claim - 1 LOOP
                IF p_counts[k] > 0 THEN
                    v_stream := p_claim_streams[k];
                    v_missing[v_stream] := least(v_missing[v_stream], p_claim_expected[k]);
                END IF;
            END LOOP;
        END IF;
        events := events + v_events;
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION decide_group FROM PUBLIC;

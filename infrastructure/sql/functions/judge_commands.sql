-- Judges the commands of a group in order, each on what the accepted ones before it left. Out, by command: whether
-- it is known, whether a lock forbids it (p_locked, null: none does), whether it is accepted, its first claim in conflict (null:
-- none), and the stream's version then. By stream: p_versions, null if it does not exist. The caller holds the append lock.
CREATE OR REPLACE FUNCTION judge_commands(
    p_command_ids uuid[], p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[],
    p_versions bigint[], p_importing boolean, p_locked boolean[],
    OUT known boolean[], OUT locked boolean[], OUT accepted boolean[], OUT conflicts int[], OUT actuals bigint[]
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_claim    int := 1;
    v_from     int;
    v_stream   int;
    v_expected bigint;
    v_missing  bigint[];  -- by stream: on which version a command before would have built, and did not
BEGIN
    SELECT array_agg(c.command_id IS NOT NULL ORDER BY u.k) INTO known
    FROM unnest(p_command_ids) WITH ORDINALITY AS u (id, k) LEFT JOIN commands c ON c.command_id = u.id;
    -- An array that is assigned from the middle would begin there.
    locked := array_fill(false, ARRAY[cardinality(known)]);
    accepted := array_fill(false, ARRAY[cardinality(known)]);
    conflicts := array_fill(NULL::int, ARRAY[cardinality(known)]);
    actuals := array_fill(NULL::bigint, ARRAY[cardinality(known)]);
    v_missing := array_fill(NULL::bigint, ARRAY[cardinality(p_versions)]);

    FOR c IN 1 .. cardinality(known) LOOP
        v_from := v_claim;
        locked[c] := NOT known[c] AND coalesce(p_locked[c], false);
        WHILE p_claim_commands[v_claim] = c LOOP
            v_stream := p_claim_streams[v_claim];
            v_expected := p_claim_expected[v_claim];
            IF conflicts[c] IS NULL AND NOT known[c] AND NOT locked[c] AND NOT (
                v_expected = coalesce(p_versions[v_stream], greatest(least(v_expected, 0), -1))
                -- Decided on what that command would have left, whatever brought the stream to this version.
                AND v_expected <= coalesce(v_missing[v_stream], v_expected)
            ) THEN
                conflicts[c] := v_claim;
                actuals[c] := coalesce(p_versions[v_stream], 0);
            END IF;
            v_claim := v_claim + 1;
        END LOOP;
        accepted[c] := conflicts[c] IS NULL AND NOT known[c] AND NOT locked[c];
        FOR k IN v_from .. v_claim - 1 LOOP
            IF p_claim_counts[k] > 0 THEN
                v_stream := p_claim_streams[k];
                IF accepted[c] THEN
                    p_versions[v_stream] := p_claim_expected[k] + p_claim_counts[k];
                ELSIF NOT (known[c] AND p_importing) THEN
                    -- What is recorded already may have been decided otherwise; an import never does that.
                    v_missing[v_stream] := least(v_missing[v_stream], p_claim_expected[k]);
                END IF;
            END IF;
        END LOOP;
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION judge_commands FROM PUBLIC;

-- Which commands of a group locks forbid, each with the first stream that is in its way: one that it writes and another holds
-- (with who that is), or one of which it brings a token that does not count any more (then `held` is null). The caller holds the
-- append lock.
CREATE OR REPLACE FUNCTION locked_out(
    p_stream_ids text[], p_claim_commands int[], p_claim_streams int[], p_claim_counts int[],
    p_token_commands int[], p_tokens bigint[]
) RETURNS TABLE (command int, stream_id text, held jsonb) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH live AS MATERIALIZED (SELECT * FROM live_locks()), brought AS MATERIALIZED (
        SELECT u.command, u.token FROM unnest(p_token_commands, p_tokens) AS u (command, token)
    ), found AS (
        SELECT b.command, 0::bigint AS place, NULL::text AS stream_id, NULL::jsonb AS held
        FROM brought b
        WHERE NOT EXISTS (SELECT FROM live v WHERE v.token = b.token)
        UNION ALL
        SELECT u.command, u.place, v.stream_id, jsonb_build_object('holder', v.holder, 'since', v.taken_at)
        FROM unnest(p_claim_commands, p_claim_streams, p_claim_counts) WITH ORDINALITY AS u (command, stream, count, place)
        JOIN live v ON v.stream_id = p_stream_ids[u.stream]
        WHERE u.count > 0 AND NOT EXISTS (SELECT FROM brought b WHERE b.command = u.command AND b.token = v.token)
    )
    SELECT DISTINCT ON (f.command) f.command, f.stream_id, f.held FROM found f ORDER BY f.command, f.place;
END $$;

REVOKE EXECUTE ON FUNCTION locked_out FROM PUBLIC;

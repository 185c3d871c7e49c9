-- The second claim of an append: the rows of the streams that it writes, sorted. Returns for each stream
-- whether its row is locked; one that does not exist has none.
CREATE OR REPLACE FUNCTION lock_streams(p_stream_ids text[], p_claim_streams int[], p_claim_counts int[])
RETURNS boolean[] LANGUAGE sql VOLATILE AS $$
    WITH written AS (
        SELECT p_stream_ids[p_claim_streams[c.k]] AS stream_id
        FROM unnest(p_claim_counts) WITH ORDINALITY AS c (count, k)
        WHERE c.count > 0
    ), locked AS MATERIALIZED (
        SELECT s.stream_id FROM streams s
        WHERE s.stream_id IN (SELECT w.stream_id FROM written w)
        ORDER BY s.stream_id
        FOR NO KEY UPDATE OF s
    )
    SELECT array_agg(l.stream_id IS NOT NULL ORDER BY u.k)
    FROM unnest(p_stream_ids) WITH ORDINALITY AS u (id, k)
    LEFT JOIN locked l ON l.stream_id = u.id
$$;

REVOKE EXECUTE ON FUNCTION lock_streams FROM PUBLIC;

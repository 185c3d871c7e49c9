-- The first parts (as read_fold gives them) of many streams, by the place of the request: each from its nearest snapshot where
-- its request has a stamp, else after a version; up to a version of its own (null: none) and a position of all (null: now). Those
-- up to a version, or from a snapshot on, are read one by one, so that no more of them is read than is asked for; the others
-- together.
CREATE OR REPLACE FUNCTION read_folds(
    p_stream_ids text[], p_after bigint[], p_schemas text[], p_fold_versions int[], p_until bigint[], p_until_position bigint,
    p_limit int
) RETURNS TABLE (
    place int, first_version bigint, last_version bigint, "position" bigint, following int, recorded_at timestamptz, digest bytea,
    more boolean, types text, schema_versions bytea, lengths bytea, data bytea
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_together int[] := '{}';
    v_found    snapshots;
BEGIN
    FOR v_place IN 1 .. cardinality(p_stream_ids) LOOP
        v_found := NULL;
        IF p_schemas[v_place] IS NOT NULL THEN
            v_found := nearest_snapshot(p_stream_ids[v_place], p_schemas[v_place], p_fold_versions[v_place], p_until[v_place],
                NULL, p_until_position);
        END IF;
        IF v_found.version IS NULL AND p_until[v_place] IS NULL THEN
            v_together := v_together || v_place;
        ELSE
            RETURN QUERY SELECT v_place, f.* FROM read_fold(p_stream_ids[v_place], p_after[v_place], p_schemas[v_place],
                p_fold_versions[v_place], NULL, p_until[v_place], NULL, NULL, p_until_position, p_limit) f;
        END IF;
    END LOOP;
    IF v_together <> '{}' THEN
        RETURN QUERY
        SELECT e.place, min(e.version), max(e.version), max(e.position), (max(e.position + e.following) - max(e.position))::int,
            max(e.recorded_at), NULL::bytea, count(*) < max(e.found), string_agg(e.type, E'\x1f'),
            string_agg(int4send(e.schema_version), ''), string_agg(int4send(octet_length(e.data)), ''), string_agg(e.data, '')
        FROM (
            SELECT u.place, s.*, row_number() OVER w AS number, sum(octet_length(s.data)) OVER w AS size,
                count(*) OVER (PARTITION BY u.place) AS found
            FROM read_streams(
                ARRAY(SELECT p_stream_ids[i] FROM unnest(v_together) AS i), ARRAY(SELECT p_after[i] FROM unnest(v_together) AS i),
                p_until_position
            ) s
            JOIN (SELECT p_stream_ids[i] AS id, i AS place FROM unnest(v_together) AS i) u ON u.id = s.stream_id
            WINDOW w AS (PARTITION BY u.place ORDER BY s.version ROWS UNBOUNDED PRECEDING)
            ORDER BY u.place, s.version
        ) e
        WHERE e.number <= p_limit AND e.size - octet_length(e.data) < 67108864
        GROUP BY e.place;
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION read_folds FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_folds TO dora_state_writer, dora_state_projector;

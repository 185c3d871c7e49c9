-- Many streams for folds, by the place of the request: each from its nearest snapshot (as in read_fold) where its request has
-- a stamp, else after a version; up to a version of its own (null: none) and a position of all (null: now). Those up to a
-- version, or from a snapshot on, are read one by one, so that no more of them is read than is asked for; the others together.
CREATE OR REPLACE FUNCTION read_folds(
    p_stream_ids text[], p_after bigint[], p_schemas text[], p_fold_versions int[], p_until bigint[], p_until_position bigint
) RETURNS TABLE (
    place int, version bigint, type text, schema_version int, data bytea, "position" bigint, following int,
    recorded_at timestamptz, digest bytea
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_together int[] := '{}';
    v_after    bigint;
    v_since    timestamptz;
    v_found    snapshots;
BEGIN
    FOR v_place IN 1 .. cardinality(p_stream_ids) LOOP
        v_after := p_after[v_place];
        v_since := NULL;
        IF p_schemas[v_place] IS NOT NULL THEN
            v_found := nearest_snapshot(p_stream_ids[v_place], p_schemas[v_place], p_fold_versions[v_place], p_until[v_place],
                NULL, p_until_position);
            IF v_found.version > v_after THEN
                v_after := v_found.version;
                v_since := v_found.recorded_at;
                RETURN QUERY SELECT v_place, v_found.version, NULL::text, NULL::int, v_found.state, v_found.position,
                    v_found.following, v_found.recorded_at, v_found.digest;
            END IF;
        END IF;
        IF v_since IS NULL AND p_until[v_place] IS NULL THEN
            v_together := v_together || v_place;
        ELSE
            RETURN QUERY
            SELECT v_place, e.version, e.type, e.schema_version, e.data, e.position, e.following, e.recorded_at, NULL::bytea
            FROM read_stream(p_stream_ids[v_place], v_after, p_until[v_place], v_since, NULL, p_until_position, false, NULL) e;
        END IF;
    END LOOP;
    IF v_together <> '{}' THEN
        RETURN QUERY
        SELECT u.place, e.version, e.type, e.schema_version, e.data, e.position, e.following, e.recorded_at, NULL::bytea
        FROM read_streams(
            ARRAY(SELECT p_stream_ids[i] FROM unnest(v_together) AS i), ARRAY(SELECT p_after[i] FROM unnest(v_together) AS i),
            p_until_position
        ) e
        JOIN (SELECT p_stream_ids[i] AS id, i AS place FROM unnest(v_together) AS i) u ON u.id = e.stream_id
        ORDER BY u.place, e.version;
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION read_folds FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_folds TO dora_state_writer, dora_state_projector;

-- Many streams for folds, by the place of the request: each from its nearest snapshot (as in read_fold) where its request has
-- a stamp, else after a version; up to a version of its own (null: none) and a position of all (null: now).
CREATE OR REPLACE FUNCTION read_folds(
    p_stream_ids text[], p_after bigint[], p_schemas text[], p_fold_versions int[], p_until bigint[], p_until_position bigint
) RETURNS TABLE (
    place int, version bigint, type text, schema_version int, data bytea, "position" bigint, following int,
    recorded_at timestamptz, digest bytea
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_after bigint[] := p_after;
    v_place int;
    v_found snapshots;
BEGIN
    FOR v_place IN SELECT i FROM generate_subscripts(p_stream_ids, 1) AS i WHERE p_schemas[i] IS NOT NULL LOOP
        v_found := nearest_snapshot(p_stream_ids[v_place], p_schemas[v_place], p_fold_versions[v_place], p_until[v_place],
            NULL, p_until_position);
        IF v_found.version > v_after[v_place] THEN
            v_after[v_place] := v_found.version;
            RETURN QUERY SELECT v_place, v_found.version, NULL::text, NULL::int, v_found.state, v_found.position,
                v_found.following, v_found.recorded_at, v_found.digest;
        END IF;
    END LOOP;
    RETURN QUERY
    SELECT u.place::int, e.version, e.type, e.schema_version, e.data, e.position, e.following, e.recorded_at, NULL::bytea
    FROM read_streams(p_stream_ids, v_after, p_until_position) e
    JOIN unnest(p_stream_ids, p_until) WITH ORDINALITY AS u (id, until, place) ON u.id = e.stream_id
    WHERE u.until IS NULL OR e.version <= u.until
    ORDER BY u.place, e.version;
END $$;

REVOKE EXECUTE ON FUNCTION read_folds FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_folds TO dora_state_writer, dora_state_projector;

-- The events after a position and up to another at whose versions a snapshot is due and none with today's stamp of their category
-- is there, in order. Months that are archived are left out.
CREATE OR REPLACE FUNCTION due_snapshots(
    p_after bigint, p_until bigint, p_spacing int, p_categories text[], p_schemas text[], p_fold_versions int[]
) RETURNS TABLE (stream_id text, version bigint) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_from  timestamptz;
    v_until timestamptz;
BEGIN
    SELECT min(m.starts_at), max(m.ends_at) INTO v_from, v_until FROM months m
    WHERE m.state = 'attached' AND m.first_position <= p_until AND coalesce(m.last_position, p_until) > p_after;
    RETURN QUERY
    SELECT e.stream_id, e.version
    FROM events e
    JOIN unnest(p_categories, p_schemas, p_fold_versions) AS c (category, schema, fold_version)
        ON c.category = split_part(e.stream_id, '-', 1)
    WHERE e.position > p_after AND e.position <= p_until AND e.recorded_at >= v_from AND e.recorded_at < v_until
        AND e.version % p_spacing = 0 AND e.version > 0
        AND NOT EXISTS (
            SELECT FROM snapshots s
            WHERE s.stream_id = e.stream_id AND s.schema = c.schema AND s.fold_version = c.fold_version AND s.version = e.version
        )
    ORDER BY e.position;
END $$;

REVOKE EXECUTE ON FUNCTION due_snapshots FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_snapshots TO dora_state_projector;

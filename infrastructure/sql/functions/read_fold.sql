-- A part of a stream for a fold, as read_stream bounds it. With a stamp (p_schema and p_fold_version) it begins with the nearest
-- snapshot, whose row has no type and its digest as metadata, where there is one below
-- p_below (null: any); else after p_after.
CREATE OR REPLACE FUNCTION read_fold(
    p_stream_id text, p_after bigint, p_schema text, p_fold_version int, p_below bigint, p_until bigint, p_from_at timestamptz,
    p_until_at timestamptz, p_until_position bigint, p_limit int
) RETURNS TABLE (
    version bigint, type text, schema_version int, data bytea, "position" bigint, following int, recorded_at timestamptz, digest bytea
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_snapshot snapshots;
    v_after    bigint := p_after;
    v_from_at  timestamptz := p_from_at;
BEGIN
    IF p_schema IS NOT NULL THEN
        v_snapshot := nearest_snapshot(p_stream_id, p_schema, p_fold_version, least(p_until, p_below - 1), p_until_at,
            p_until_position);
        IF v_snapshot.version > p_after THEN
            RETURN QUERY SELECT v_snapshot.version, NULL::text, NULL::int, v_snapshot.state, v_snapshot.position,
                v_snapshot.following, v_snapshot.recorded_at, v_snapshot.digest;
            v_after := v_snapshot.version;
            v_from_at := v_snapshot.recorded_at;
        END IF;
    END IF;
    RETURN QUERY
    SELECT e.version, e.type, e.schema_version, e.data, e.position, e.following, e.recorded_at, NULL::bytea
    FROM read_stream(p_stream_id, v_after, p_until, v_from_at, p_until_at, p_until_position, false, p_limit) e;
END $$;

REVOKE EXECUTE ON FUNCTION read_fold FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_fold TO dora_state_writer, dora_state_projector;

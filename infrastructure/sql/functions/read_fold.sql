-- A part of a stream for a fold, as read_stream bounds it, in one row: from which version to which, where the last event is, and
-- types, schema versions, lengths and data of all of them, each put together, in order. `more`: others follow, beyond p_limit
-- or beyond 64 MB. With a stamp (p_schema and p_fold_version) the part begins with the nearest snapshot, where there is one below
-- p_below (null: any), in a row of its own: with its digest, and its state as data.
CREATE OR REPLACE FUNCTION read_fold(
    p_stream_id text, p_after bigint, p_schema text, p_fold_version int, p_below bigint, p_until bigint, p_from_at timestamptz,
    p_until_at timestamptz, p_until_position bigint, p_limit int
) RETURNS TABLE (
    first_version bigint, last_version bigint, "position" bigint, following int, recorded_at timestamptz, digest bytea, more boolean,
    types text, schema_versions bytea, lengths bytea, data bytea
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_snapshot snapshots;
    v_after    bigint := p_after;
    v_from_at  timestamptz := p_from_at;
BEGIN
    IF p_schema IS NOT NULL THEN
        v_snapshot := nearest_snapshot(p_stream_id, p_schema, p_fold_version, least(p_until, p_below - 1), p_until_at,
            p_until_position);
        IF v_snapshot.version > p_after THEN
            RETURN QUERY SELECT v_snapshot.version, v_snapshot.version, v_snapshot.position, v_snapshot.following,
                v_snapshot.recorded_at, v_snapshot.digest, false, NULL::text, NULL::bytea, NULL::bytea, v_snapshot.state;
            v_after := v_snapshot.version;
            v_from_at := v_snapshot.recorded_at;
        END IF;
    END IF;
    RETURN QUERY
    SELECT min(e.version), max(e.version), max(e.position), (max(e.position + e.following) - max(e.position))::int,
        max(e.recorded_at), NULL::bytea, count(*) = p_limit OR count(*) < max(e.found), string_agg(e.type, E'\x1f'),
        string_agg(int4send(e.schema_version), ''), string_agg(int4send(octet_length(e.data)), ''), string_agg(e.data, '')
    FROM (
        SELECT s.*, sum(octet_length(s.data)) OVER w AS size, count(*) OVER () AS found
        FROM read_stream(p_stream_id, v_after, p_until, v_from_at, p_until_at, p_until_position, false, p_limit) s
        WINDOW w AS (ORDER BY s.version ROWS UNBOUNDED PRECEDING)
        ORDER BY s.version
    ) e
    WHERE e.size - octet_length(e.data) < 67108864
    HAVING count(*) > 0;
END $$;

REVOKE EXECUTE ON FUNCTION read_fold FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_fold TO dora_state_writer, dora_state_projector;

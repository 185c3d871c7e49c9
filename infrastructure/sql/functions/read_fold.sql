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
    v_stream   streams;
    v_after    bigint := p_after;
    v_last     bigint := coalesce(p_until, 9223372036854775807);
    v_since    timestamptz := p_from_at;
    v_from     timestamptz;
    v_until    timestamptz;
    v_limit    bigint := p_limit;
    v_size     bigint;
BEGIN
    IF p_schema IS NOT NULL THEN
        v_snapshot := nearest_snapshot(p_stream_id, p_schema, p_fold_version, least(p_until, p_below - 1), p_until_at,
            p_until_position);
        IF v_snapshot.version > p_after THEN
            RETURN QUERY SELECT v_snapshot.version, v_snapshot.version, v_snapshot.position, v_snapshot.following,
                v_snapshot.recorded_at, v_snapshot.digest, false, NULL::text, NULL::bytea, NULL::bytea, v_snapshot.state;
            v_after := v_snapshot.version;
            v_since := v_snapshot.recorded_at;
        END IF;
    END IF;
    SELECT * INTO v_stream FROM streams s WHERE s.stream_id = p_stream_id;
    SELECT * INTO v_from, v_until FROM stream_bounds(v_stream, v_since, p_until_at, p_until_position);
    SELECT sum(octet_length(e.data)) INTO v_size FROM (
        SELECT e.data FROM events e
        WHERE e.stream_id = p_stream_id AND e.version > v_after AND e.version <= v_last
            AND e.recorded_at >= v_from AND e.recorded_at <= v_until
            AND (p_until_position IS NULL OR e.position + e.following <= p_until_position)
        ORDER BY e.version LIMIT p_limit
    ) e;
    IF v_size > 67108864 THEN  -- lengths are known without reading what is stored apart
        SELECT greatest(count(*), 1) INTO v_limit FROM (
            SELECT sum(octet_length(e.data)) OVER (ORDER BY e.version) AS size FROM events e
            WHERE e.stream_id = p_stream_id AND e.version > v_after AND e.version <= v_last
                AND e.recorded_at >= v_from AND e.recorded_at <= v_until
                AND (p_until_position IS NULL OR e.position + e.following <= p_until_position)
            ORDER BY e.version LIMIT p_limit
        ) e WHERE e.size <= 67108864;
    END IF;
    IF v_size IS NOT NULL THEN
        RETURN QUERY
        SELECT min(e.version), max(e.version), max(e.position), (max(e.position + e.following) - max(e.position))::int,
            max(e.recorded_at), NULL::bytea, count(*) = v_limit, string_agg(e.type, E'\x1f'),
            string_agg(int4send(e.schema_version), ''), string_agg(int4send(octet_length(e.data)), ''), string_agg(e.data, '')
        FROM (
            SELECT e.version, e.position, e.following, e.recorded_at, e.type, e.schema_version, e.data FROM events e
            WHERE e.stream_id = p_stream_id AND e.version > v_after AND e.version <= v_last
                AND e.recorded_at >= v_from AND e.recorded_at <= v_until
                AND (p_until_position IS NULL OR e.position + e.following <= p_until_position)
            ORDER BY e.version LIMIT v_limit
        ) e;
    END IF;
    IF v_after < v_last AND v_from <= v_until THEN
        PERFORM refuse_archived_stream(v_stream, v_after);
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION read_fold FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_fold TO dora_state_writer, dora_state_projector;

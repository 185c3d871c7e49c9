-- Writes read_streams for the partition that is open (null: none is): many streams at once, each in order of versions, after
-- the version given for it (-1: whole), as of a position (null: now). What lies in the open month is read by one
-- query, straight from its partition; the rest stream by stream, as read_stream says.
CREATE OR REPLACE FUNCTION make_read_streams(p_partition text, p_starts_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $function$
DECLARE
    v_open text := '';
    v_here text := 'false';  -- of a stream s and a version u.after: all that comes after it lies in the open month
BEGIN
    IF p_partition IS NOT NULL THEN
        v_here := format('s.month = %1$L AND (s.version <= u.after OR s.first_recorded_at >= %1$L)', p_starts_at);
        v_open := format($open$
    RETURN QUERY
    SELECT e.*
    FROM unnest(p_stream_ids, p_after) WITH ORDINALITY AS u (id, after, place)
    JOIN streams s ON s.stream_id = u.id
    CROSS JOIN LATERAL (
        SELECT * FROM %I e
        WHERE e.stream_id = u.id AND e.version > u.after
            AND (p_until_position IS NULL OR e.position + e.following <= p_until_position)
        ORDER BY e.version
    ) e
    WHERE %s
    ORDER BY u.place, e.version;
        $open$, p_partition, v_here);
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION read_streams(p_stream_ids text[], p_after bigint[], p_until_position bigint)
        RETURNS SETOF events LANGUAGE plpgsql STABLE SET enable_seqscan TO off AS %L', format($body$
DECLARE
    v_stream record;
BEGIN
    %s
    FOR v_stream IN
        SELECT u.id, u.after FROM unnest(p_stream_ids, p_after) WITH ORDINALITY AS u (id, after, place)
        JOIN streams s ON s.stream_id = u.id
        WHERE NOT (%s)
        ORDER BY u.place
    LOOP
        RETURN QUERY SELECT * FROM read_stream(v_stream.id, v_stream.after, NULL, NULL, NULL, p_until_position, false, NULL);
    END LOOP;
END
        $body$, v_open, v_here));
END $function$;

REVOKE EXECUTE ON FUNCTION make_read_streams FROM PUBLIC;

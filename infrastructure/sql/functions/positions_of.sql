-- Where the events of streams are, after one position and up to another, of commands that are whole by then; in no order. The
-- streams' own times bound the months that are touched. Refuses what would lack events that are archived.
CREATE OR REPLACE FUNCTION positions_of(p_stream_ids text[], p_after bigint, p_until bigint)
RETURNS SETOF bigint LANGUAGE plpgsql STABLE SET enable_seqscan TO off AS $$
DECLARE
    v_stream streams;
    v_from   timestamptz;
    v_until  timestamptz;
BEGIN
    FOR v_stream IN SELECT * FROM streams s WHERE s.stream_id = ANY (p_stream_ids) LOOP
        SELECT * INTO v_from, v_until FROM stream_bounds(v_stream, NULL, NULL, p_until);
        IF p_after = 0 THEN
            PERFORM refuse_archived_stream(v_stream, 0);
        ELSIF v_stream.first_recorded_at < (SELECT max(m.ends_at) FROM months m WHERE m.state = 'archived') THEN
            PERFORM refuse_archived(p_after, p_until);
        END IF;
        RETURN QUERY SELECT e.position FROM events e
        WHERE e.stream_id = v_stream.stream_id AND e.recorded_at >= v_from AND e.recorded_at <= v_until
            AND e.position > p_after AND e.position + e.following <= p_until;
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION positions_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION positions_of TO dora_state_writer, dora_state_projector;

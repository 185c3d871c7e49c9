-- Those of the streams that have events in months that are archived: those that began before the last of these ended.
CREATE OR REPLACE FUNCTION archived_streams(p_stream_ids text[]) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT s.stream_id FROM streams s
    WHERE s.stream_id = ANY (p_stream_ids)
        AND s.first_recorded_at < (SELECT max(m.ends_at) FROM months m WHERE m.state = 'archived')
$$;

REVOKE EXECUTE ON FUNCTION archived_streams FROM PUBLIC;
GRANT EXECUTE ON FUNCTION archived_streams TO dora_state_writer, dora_state_projector;

-- Moves the heads of the streams that were written (those with an end).
CREATE OR REPLACE FUNCTION record_streams(
    p_stream_ids text[], p_versions bigint[], p_began timestamptz[], p_ended timestamptz[]
) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO streams (stream_id, version, first_recorded_at, last_recorded_at)
    SELECT u.id, p_versions[u.k], coalesce(p_began[u.k], p_ended[u.k]), p_ended[u.k]
    FROM unnest(p_stream_ids) WITH ORDINALITY AS u (id, k)
    WHERE p_ended[u.k] IS NOT NULL
    ON CONFLICT (stream_id) DO UPDATE SET version = EXCLUDED.version, last_recorded_at = EXCLUDED.last_recorded_at
$$;

REVOKE EXECUTE ON FUNCTION record_streams FROM PUBLIC;

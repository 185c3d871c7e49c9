-- Stores the events of the accepted commands (those with an offset), at their positions and versions.
CREATE OR REPLACE FUNCTION record_events(
    p_offsets bigint[], p_lasts bigint[], p_times timestamptz[], p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[],
    p_event_claims int[], p_event_ids uuid[], p_event_types text[], p_event_schema_versions int[],
    p_event_data bytea[], p_event_metadata bytea[]
) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO events (position, recorded_at, version, event_id, schema_version, following, stream_id, type, data, metadata)
    SELECT
        p_offsets[e.command] + e.place,
        p_times[e.command],
        p_claim_expected[e.claim] + e.nth,
        e.id,
        e.schema_version,
        p_lasts[e.command] - p_offsets[e.command] - e.place,
        s.id,
        e.type,
        e.data,
        e.metadata
    FROM (
        SELECT u.*, p_claim_commands[u.claim] AS command, p_claim_streams[u.claim] AS stream,
            row_number() OVER (PARTITION BY u.claim ORDER BY u.place) AS nth
        FROM unnest(p_event_claims, p_event_ids, p_event_types, p_event_schema_versions, p_event_data, p_event_metadata)
            WITH ORDINALITY AS u (claim, id, type, schema_version, data, metadata, place)
    ) e
    JOIN unnest(p_stream_ids) WITH ORDINALITY AS s (id, place) ON s.place = e.stream
    WHERE p_offsets[e.command] IS NOT NULL
$$;

REVOKE EXECUTE ON FUNCTION record_events FROM PUBLIC;

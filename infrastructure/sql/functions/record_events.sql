-- Stores the events of a group in which nothing is in conflict, at their positions and versions. Arguments as in
-- append; p_head is the last position before them.
CREATE OR REPLACE FUNCTION record_events(
    p_head bigint, p_times timestamptz[], p_command_lasts int[], p_stream_ids text[],
    p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[], p_claim_counts int[],
    p_event_claims int[], p_event_ids uuid[], p_event_types text[], p_event_schema_versions int[],
    p_event_data bytea[], p_event_metadata bytea[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_nths int[];  -- by event: which one of its claim's it is; null: each is the first
BEGIN
    IF 2 <= ANY (p_claim_counts) THEN
        v_nths := ARRAY(
            SELECT row_number() OVER (PARTITION BY u.claim ORDER BY u.place)
            FROM unnest(p_event_claims) WITH ORDINALITY AS u (claim, place) ORDER BY u.place
        );
    END IF;
    INSERT INTO events (position, recorded_at, version, event_id, schema_version, following, stream_id, type, data, metadata)
    SELECT
        p_head + e.place,
        p_times[e.command],
        CASE WHEN coalesce(v_nths[e.place], 1) <= p_claim_counts[e.claim]
            THEN p_claim_expected[e.claim] + coalesce(v_nths[e.place], 1)
            ELSE refuse_append('each claim counts its events') END,
        e.id,
        e.schema_version,
        CASE WHEN e.place > coalesce(p_command_lasts[e.command - 1], 0) AND e.place <= p_command_lasts[e.command]
            THEN p_command_lasts[e.command] - e.place
            ELSE refuse_append('events are in the order of their commands') END,
        p_stream_ids[p_claim_streams[e.claim]],
        e.type,
        e.data,
        e.metadata
    FROM (
        SELECT u.*, p_claim_commands[u.claim] AS command
        FROM unnest(p_event_claims, p_event_ids, p_event_types, p_event_schema_versions, p_event_data, p_event_metadata)
            WITH ORDINALITY AS u (claim, id, type, schema_version, data, metadata, place)
    ) e;
END $$;

REVOKE EXECUTE ON FUNCTION record_events FROM PUBLIC;

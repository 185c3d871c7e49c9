-- Stores a group, whichever months its events go into.
DO $do$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION record_group(
            v_last_position bigint, v_times timestamptz[], p_command_ids uuid[], p_answers bytea[], p_command_lasts int[],
            p_stream_ids text[], p_claim_commands int[], p_claim_streams int[], p_claim_expected bigint[],
            p_claim_counts int[], p_event_claims int[], p_event_ids uuid[], p_event_types text[],
            p_event_schema_versions int[], p_event_data bytea[], p_event_metadata bytea[]
        ) RETURNS void LANGUAGE plpgsql VOLATILE AS %L',
        'DECLARE v_nths int[]; BEGIN ' || insert_statements('events') || ' END');
END $do$;

REVOKE EXECUTE ON FUNCTION record_group FROM PUBLIC;

-- Fills in the versions of the streams that have no events in the open month: p_versions as open_versions() gave them; null
-- stays where a stream does not exist. Such a stream is looked for in the newest month that it has events in; where that
-- one is archived, its row says the version.
CREATE OR REPLACE FUNCTION older_versions(p_stream_ids text[], p_versions bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_stream  record;
    v_version bigint;
BEGIN
    FOR v_stream IN
        SELECT u.place, s.stream_id, s.version, m.partition, m.state
        FROM unnest(p_stream_ids, p_versions) WITH ORDINALITY AS u (id, version, place)
        JOIN streams s ON s.stream_id = u.id
        JOIN months m ON m.starts_at = s.month
        WHERE u.version IS NULL
    LOOP
        v_version := NULL;
        IF v_stream.state = 'attached' THEN
            EXECUTE format('SELECT e.version FROM %I e WHERE e.stream_id = $1 ORDER BY e.version DESC LIMIT 1', v_stream.partition)
            INTO v_version USING v_stream.stream_id;
        END IF;
        p_versions[v_stream.place] := coalesce(v_version, v_stream.version);
    END LOOP;
    RETURN p_versions;
END $$;

REVOKE EXECUTE ON FUNCTION older_versions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION older_versions TO dora_state_writer, dora_state_projector;

-- Refuses to read positions (after one, up to another) of which some are archived: better no answer than one with a hole. Says
-- all that is archived, as months are archived from the oldest on: what follows can be read.
CREATE OR REPLACE FUNCTION refuse_archived(p_after bigint, p_until bigint) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_archived record;
BEGIN
    IF EXISTS (
        SELECT FROM months m WHERE m.state = 'archived' AND m.first_position <= p_until AND m.last_position > p_after
    ) THEN
        SELECT min(m.first_position) AS first_position, max(m.last_position) AS last_position,
            max(m.last_recorded_at) AS last_recorded_at, archived_from('-infinity') AS partitions
        INTO v_archived FROM months m WHERE m.state = 'archived';
        RAISE EXCEPTION USING ERRCODE = 'DS007',
            MESSAGE = format('positions %s to %s are archived (%s)', v_archived.first_position, v_archived.last_position,
                v_archived.partitions),
            DETAIL = to_jsonb(v_archived);
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION refuse_archived FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refuse_archived TO dora_state_writer, dora_state_projector;

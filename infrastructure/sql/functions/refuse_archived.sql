-- Refuses to read positions (after one, up to another) of a month that is archived: better no answer than
-- one with a hole.
CREATE OR REPLACE FUNCTION refuse_archived(p_after bigint, p_until bigint) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_month months;
BEGIN
    SELECT * INTO v_month FROM months m
    WHERE m.state = 'archived' AND m.first_position <= p_until AND m.last_position > p_after
    ORDER BY m.first_position LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'DS007',
            MESSAGE = format('positions %s to %s are archived (%s)', v_month.first_position, v_month.last_position, v_month.partition),
            DETAIL = jsonb_build_object('partition', v_month.partition,
                'first_position', v_month.first_position, 'last_position', v_month.last_position);
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION refuse_archived FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refuse_archived TO dora_state_writer, dora_state_projector;

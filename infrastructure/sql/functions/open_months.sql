-- Sees to it that the months of a group's events are there and open. As a rule all go into the month that is open until
-- p_open_until, and nothing is to be done. Else: makes those that nobody made ahead, the last resort, and keeps in
-- `months` which positions are where: what came before is closed, the newest stays open. Arguments as in append.
CREATE OR REPLACE FUNCTION open_months(
    p_head bigint, p_head_at timestamptz, p_open_until timestamptz, p_times timestamptz[], p_command_lasts int[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_firsts bigint[];  -- by command with events: the position of the first one, of the last one, and when
    v_lasts  bigint[];
    v_times  timestamptz[];
BEGIN
    IF p_times[cardinality(p_times)] < p_open_until THEN
        RETURN;
    END IF;
    SELECT array_agg(p_head + u.before + 1 ORDER BY u.k), array_agg(p_head + u.last ORDER BY u.k), array_agg(u.at ORDER BY u.k)
    INTO v_firsts, v_lasts, v_times
    FROM unnest((0 || p_command_lasts)[:cardinality(p_command_lasts)], p_command_lasts, p_times)
        WITH ORDINALITY AS u (before, last, at, k)
    WHERE u.last > u.before;

    PERFORM make_month(m.at)
    FROM (SELECT max(t) AS at FROM unnest(v_times) AS t GROUP BY date_trunc('month', t, 'UTC')) m
    WHERE NOT has_month(m.at);

    UPDATE months m SET
        first_position = coalesce(m.first_position, g.first_position),
        first_recorded_at = coalesce(m.first_recorded_at, g.first_recorded_at),
        last_position = CASE WHEN g.newest THEN NULL ELSE g.last_position END,
        last_recorded_at = CASE WHEN g.newest THEN NULL ELSE g.last_recorded_at END
    FROM (
        SELECT n.starts_at, min(c.first) AS first_position, max(c.last) AS last_position,
            min(c.at) AS first_recorded_at, max(c.at) AS last_recorded_at,
            n.starts_at = max(n.starts_at) OVER () AS newest
        FROM unnest(v_firsts, v_lasts, v_times) AS c (first, last, at)
        JOIN months n ON n.state = 'attached' AND n.starts_at <= c.at AND c.at < n.ends_at
        GROUP BY n.starts_at
    ) g
    WHERE m.starts_at = g.starts_at;

    UPDATE months m SET last_position = p_head, last_recorded_at = p_head_at
    WHERE m.first_position <= p_head AND m.last_position IS NULL
        AND m.starts_at < (SELECT max(n.starts_at) FROM months n WHERE n.first_position IS NOT NULL);
    PERFORM point_to_open_month();
END $$;

REVOKE EXECUTE ON FUNCTION open_months FROM PUBLIC;

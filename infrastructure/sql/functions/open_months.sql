-- Keeps in `months` which positions the appended commands put where, when a month was opened: what came
-- before is closed, the newest stays open. Arrays: one element a command, null when it gave no events.
CREATE OR REPLACE FUNCTION open_months(
    p_head bigint, p_head_at timestamptz, p_firsts bigint[], p_lasts bigint[], p_times timestamptz[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE months m SET
        first_position = coalesce(m.first_position, g.first_position),
        first_recorded_at = coalesce(m.first_recorded_at, g.first_recorded_at),
        last_position = CASE WHEN g.newest THEN NULL ELSE g.last_position END,
        last_recorded_at = CASE WHEN g.newest THEN NULL ELSE g.last_recorded_at END
    FROM (
        SELECT n.starts_at, min(c.first) AS first_position, max(c.last) AS last_position,
            min(c.at) AS first_recorded_at, max(c.at) AS last_recorded_at,
            n.starts_at = max(n.starts_at) OVER () AS newest
        FROM unnest(p_firsts, p_lasts, p_times) AS c (first, last, at)
        JOIN months n ON n.state = 'attached' AND n.starts_at <= c.at AND c.at < n.ends_at
        WHERE c.first IS NOT NULL
        GROUP BY n.starts_at
    ) g
    WHERE m.starts_at = g.starts_at;

    UPDATE months m SET last_position = p_head, last_recorded_at = p_head_at
    WHERE m.first_position <= p_head AND m.last_position IS NULL
        AND m.starts_at < (SELECT max(n.starts_at) FROM months n WHERE n.first_position IS NOT NULL);
END $$;

REVOKE EXECUTE ON FUNCTION open_months FROM PUBLIC;

-- The last resort of an append: makes the months that its commands' events need and nobody made ahead.
-- Returns how many.
-- Arrays: one element a command; a first position of null: it gave no events.
CREATE OR REPLACE FUNCTION make_months(p_firsts bigint[], p_times timestamptz[]) RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT count(make_month(m.at))
    FROM (
        SELECT max(c.at) AS at FROM unnest(p_firsts, p_times) AS c (first, at)
        WHERE c.first IS NOT NULL
        GROUP BY date_trunc('month', c.at, 'UTC')
    ) m
    WHERE NOT has_month(m.at)
$$;

REVOKE EXECUTE ON FUNCTION make_months FROM PUBLIC;

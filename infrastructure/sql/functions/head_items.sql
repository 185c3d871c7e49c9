-- What the statements of append start from, as items of FROM and as text, for make_append and lone_statement: the last event of the
-- open month (h), the tenant's mode (m), the clock and the time that the first command of a group is recorded at (t).
CREATE OR REPLACE FUNCTION head_items(p_partition text) RETURNS text LANGUAGE sql IMMUTABLE AS $function$
    SELECT format($items$
        (SELECT e.position, e.recorded_at FROM %I e ORDER BY e.position DESC LIMIT 1) h
        CROSS JOIN mode m
        CROSS JOIN LATERAL (
            SELECT c.clock, greatest(c.clock, h.recorded_at + interval '1 microsecond') AS first_at
            FROM (SELECT log_clock() AS clock OFFSET 0) c
            OFFSET 0
        ) t
    $items$, p_partition)
$function$;

REVOKE EXECUTE ON FUNCTION head_items FROM PUBLIC;

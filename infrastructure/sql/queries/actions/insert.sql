-- Write actions set-wise, an array a column.
INSERT INTO actions (position, recorded_at, actor, command_type)
SELECT position, recorded_at, actor, command_type
FROM unnest(%(positions)s::bigint[], %(times)s::timestamptz[], %(actors)s::text[], %(types)s::text[])
    AS new (position, recorded_at, actor, command_type)

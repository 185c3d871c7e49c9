-- A tenant's log, in one row. Its months: the end of the last one made.
SELECT h.last_position, h.last_recorded_at,
    (SELECT count(*) FROM dead_letters),
    (SELECT max(n.ends_at) FROM months n WHERE n.state = 'attached'),
    m.import_id, extract(epoch FROM m.clock_bound)::float8
FROM log_head() h, mode m

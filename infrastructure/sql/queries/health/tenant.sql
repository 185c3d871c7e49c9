-- A tenant's log and how far its read models are, in one row. Its months: the end of the last one made.
SELECT h.last_position, h.last_recorded_at, c.position,
    (SELECT e.recorded_at FROM events e
        WHERE e.position = c.position + 1 AND e.recorded_at >= coalesce(c.recorded_at, '-infinity')),
    (SELECT count(*) FROM dead_letters),
    (SELECT max(n.ends_at) FROM months n WHERE n.state = 'attached'),
    m.import_id, extract(epoch FROM m.clock_bound)::float8
FROM log_head() h, checkpoints c, mode m
WHERE c.name = 'states'

-- How far each projection is, when the first event that it lacks was recorded, and why it has halted, if it has.
SELECT c.name, c.position,
    (SELECT e.recorded_at FROM events e
        WHERE e.position = c.position + 1 AND e.recorded_at >= coalesce(c.recorded_at, '-infinity')),
    h.reason, h.since, c.version
FROM checkpoints c
LEFT JOIN halts h ON (h.projection, h.position, h.version, h.generation) = (c.name, c.position, c.version, c.generation)
WHERE c.name IN ('states', 'actions')
ORDER BY c.name DESC

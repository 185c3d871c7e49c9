-- Where and why the read models have halted, unless they have come past it.
SELECT h.position, h.reason, h.since
FROM halts h, checkpoints c
WHERE h.projection = 'read_models' AND c.name = 'read_models' AND h.position > c.position

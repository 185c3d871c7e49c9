-- Where and why the read models have halted, unless they have come past it.
SELECT h.position, h.reason, h.since
FROM halts h, checkpoints c
WHERE h.projection = 'states' AND c.name = 'states' AND h.position > c.position

-- A stream that no application of the eventsourcing library wrote, by three looks into the index: the ids of its
-- streams begin with text- or uuid-, and '.' comes after '-'.
(SELECT stream_id FROM streams WHERE stream_id < 'text-' LIMIT 1)
UNION ALL
(SELECT stream_id FROM streams WHERE stream_id >= 'text.' AND stream_id < 'uuid-' LIMIT 1)
UNION ALL
(SELECT stream_id FROM streams WHERE stream_id >= 'uuid.' LIMIT 1)
LIMIT 1

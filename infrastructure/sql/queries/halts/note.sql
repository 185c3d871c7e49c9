-- Note that a projection has halted where it is, unless it has come past the event since; since when is known from the first note.
INSERT INTO halts AS h (projection, position, version, generation, reason)
SELECT name, position, version, generation, %(reason)s FROM checkpoints
WHERE name = %(name)s AND (%(event_position)s::bigint IS NULL OR position < %(event_position)s)
ON CONFLICT (projection) DO UPDATE
SET position = excluded.position, version = excluded.version, generation = excluded.generation, reason = excluded.reason,
    since = CASE
        WHEN (h.position, h.version, h.generation) = (excluded.position, excluded.version, excluded.generation) THEN h.since
        ELSE excluded.since
    END

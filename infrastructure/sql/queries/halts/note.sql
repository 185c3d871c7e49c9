-- Note where the read models have halted; since when is known from the first note of a position.
INSERT INTO halts AS h (projection, position, reason)
VALUES ('states', %(position)s, %(reason)s)
ON CONFLICT (projection) DO UPDATE
SET position = excluded.position, reason = excluded.reason,
    since = CASE WHEN h.position = excluded.position THEN h.since ELSE excluded.since END

-- The log was looked through up to this position; back to 0 to have it looked through again.
INSERT INTO checkpoints AS c (name, position) VALUES (%(name)s, %(position)s)
ON CONFLICT (name) DO UPDATE SET position = excluded.position

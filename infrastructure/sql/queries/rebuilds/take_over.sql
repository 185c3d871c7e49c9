-- Where the tables that run from here on are, which version of the projection wrote them, and that they are others.
UPDATE checkpoints
SET position = %(position)s, recorded_at = %(recorded_at)s, version = %(version)s, generation = generation + 1
WHERE name = %(name)s

-- Where the tables are that ran up to now.
UPDATE checkpoints
SET position = %(position)s, recorded_at = %(recorded_at)s, version = %(version)s, generation = %(generation)s
WHERE name = %(name)s

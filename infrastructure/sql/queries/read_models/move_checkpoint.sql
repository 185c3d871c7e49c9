-- The read models include everything up to this position.
UPDATE checkpoints SET position = %(position)s, recorded_at = %(recorded_at)s WHERE name = 'read_models'

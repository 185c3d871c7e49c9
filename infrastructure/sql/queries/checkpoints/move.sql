-- The projection's tables include everything up to this position, as its version has it.
UPDATE checkpoints SET position = %(position)s, recorded_at = %(recorded_at)s, version = %(version)s WHERE name = %(name)s

-- What one actor asked for, newest first, between two positions.
SELECT position, recorded_at, actor, command_type
FROM actions
WHERE
    actor = %(actor)s
    AND position > %(after)s
    AND position < %(before)s
    AND (%(command_type)s::text IS NULL OR command_type = %(command_type)s)
ORDER BY position DESC
LIMIT %(limit)s

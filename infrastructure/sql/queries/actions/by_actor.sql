-- What one actor asked for, newest first, in ranges of time and position.
SELECT position, first_position, recorded_at, occurred_at, actor, command_type, command_id, correlation_id, causation_id,
    stream_ids, event_types
FROM actions
WHERE
    actor = %(actor)s
    AND position > %(after)s
    AND position < %(before)s
    AND (%(command_type)s::text IS NULL OR command_type = %(command_type)s)
ORDER BY position DESC
LIMIT %(limit)s

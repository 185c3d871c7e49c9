-- All actions after a position and up to another.
SELECT position, first_position, recorded_at, occurred_at, actor, command_type, command_id, correlation_id, causation_id,
    stream_ids, event_types
FROM actions
WHERE position > %(after)s AND position <= %(until)s
ORDER BY position

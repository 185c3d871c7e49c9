-- All actions after a position and up to another.
SELECT position, recorded_at, actor, command_type
FROM actions
WHERE position > %(after)s AND position <= %(until)s
ORDER BY position

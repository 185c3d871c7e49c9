-- As arrays, which go back as they came: nobody needs to look at each one.
SELECT max(last_position), max(recorded_at),
    array_agg(last_position), array_agg(recorded_at), array_agg(actor), array_agg(command_type)
FROM read_actions(%(after)s, %(limit)s, %(careful)s)
WHERE last_position <= %(until)s

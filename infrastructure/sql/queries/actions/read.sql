SELECT * FROM read_recorded_commands(%(after)s, %(limit)s)

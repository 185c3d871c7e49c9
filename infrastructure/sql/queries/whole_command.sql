SELECT last_position, last_recorded_at FROM whole_command(%s)

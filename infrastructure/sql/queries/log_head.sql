SELECT last_position, last_recorded_at FROM log_head()

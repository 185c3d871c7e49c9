SELECT tenant, until_position, until_at, finished_at FROM replay

SELECT stream_id, version, last_position FROM moved_after(%s, %s)

SELECT stream_id, first_version, last_version FROM moved_between(%s, %s, %s, %s)

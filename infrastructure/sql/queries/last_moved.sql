SELECT stream_id, version FROM last_moved(%s)

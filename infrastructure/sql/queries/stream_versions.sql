SELECT stream_id, version FROM streams WHERE stream_id = ANY (%s)

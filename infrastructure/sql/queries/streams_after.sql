SELECT streams_after(%s, %s)

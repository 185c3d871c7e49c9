SELECT stream_began(%s)

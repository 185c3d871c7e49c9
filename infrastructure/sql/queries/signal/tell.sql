SELECT pg_notify(%s, '')

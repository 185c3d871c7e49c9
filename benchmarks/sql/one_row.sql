-- The same from psycopg.
INSERT INTO peer (stream_id, version, data, metadata) VALUES (%s, %s, %b, %b)

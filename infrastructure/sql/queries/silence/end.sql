-- A session that waits for somebody who has given it up.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND backend_start = %s AND (state <> 'active' OR wait_event = 'ClientRead')

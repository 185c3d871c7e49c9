-- End the session of one that was not heard of, and with it the locks that it may hold: with the login's own rights, who may end
-- its own sessions.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %(pid)s AND backend_start = %(start)s

-- The transaction of this database that is open the longest: while it is, nothing that died after it began
-- can be cleaned up, and hot rows get slow for everyone. Of other logins only those of its roles are seen.
SELECT a.pid, a.application_name, a.state, extract(epoch FROM clock_timestamp() - a.xact_start)::float8
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.backend_type = 'client backend'
    AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
ORDER BY a.xact_start
LIMIT 1

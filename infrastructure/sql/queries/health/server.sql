-- How the server is, as far as any login may see; all in one row.
SELECT current_setting('server_version'), pg_is_in_recovery(),
    pg_database_size(current_database()), d.numbackends, current_setting('max_connections')::int,
    d.xact_commit, d.xact_rollback, d.deadlocks
FROM pg_stat_database d
WHERE d.datname = current_database()

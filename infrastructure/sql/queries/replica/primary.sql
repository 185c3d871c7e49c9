-- Which server this is, since when it runs, and how far its write-ahead log is.
SELECT c.system_identifier, pg_postmaster_start_time(),
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0')::bigint
FROM pg_control_system() c

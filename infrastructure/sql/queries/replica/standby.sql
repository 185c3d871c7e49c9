-- The same of a standby: how far it has replayed, and up to where that shows the tenant's log.
SELECT c.system_identifier, pg_postmaster_start_time(),
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0')::bigint,
    pg_is_in_recovery(), h.last_position
FROM pg_control_system() c, log_head() h

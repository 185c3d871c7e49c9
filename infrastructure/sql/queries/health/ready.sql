-- Whether the tenant's log is there and can be read; whether the server is a standby, so that nothing can be appended.
SELECT pg_is_in_recovery() FROM log_head()

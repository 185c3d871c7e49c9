-- append refuses any other: each of its statements sees what was committed while the one before it waited.
SELECT pg_backend_pid(), (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())), pg_postmaster_start_time(),
    set_config('default_transaction_isolation', 'read committed', false)

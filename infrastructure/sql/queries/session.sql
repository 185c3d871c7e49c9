-- Which session it is, as its login may know and the role may not; and what a pooled connection is: whose rights it has, and which tenant it sees. pg_temp last, so that no
-- temporary table shadows one of ours. The isolation whatever the server's default is: append needs it. Nothing is compiled: all
-- our statements are short, and to PostgreSQL before 18 a plan that can't do without a scan that is switched off (append's) looks
-- costly enough for half a second of compiling, each time.
SELECT pg_backend_pid(), (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())), pg_postmaster_start_time(),
    set_config('role', %s, false), set_config('search_path', %s, false), set_config('timezone', 'UTC', false),
    set_config('default_transaction_isolation', 'read committed', false), set_config('jit', 'off', false)

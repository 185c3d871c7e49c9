-- What a pooled connection is: whose rights it has, and which tenant it sees. pg_temp last, so that no
-- temporary table shadows one of ours. The isolation whatever the server's default is: append needs it.
SELECT set_config('role', %s, false), set_config('search_path', %s, false), set_config('timezone', 'UTC', false),
    set_config('default_transaction_isolation', 'read committed', false)

-- append refuses any other: each of its statements sees what was committed while the one before it waited.
SELECT set_config('default_transaction_isolation', 'read committed', false), pg_backend_pid()

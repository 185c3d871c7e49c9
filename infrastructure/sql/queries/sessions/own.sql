-- When this session began: with its number, what tells it from all others. Only the login itself may see that.
SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()

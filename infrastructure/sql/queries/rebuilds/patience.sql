-- For this transaction: a lock that is not there within this time is asked for later, so that nobody waits behind us; and if we
-- are stopped in its midst, it ends by itself.
SELECT set_config('lock_timeout', %(patience)s, true), set_config('idle_in_transaction_session_timeout', '2s', true)

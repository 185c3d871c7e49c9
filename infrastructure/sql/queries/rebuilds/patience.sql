-- For this transaction: a lock that is not there within this time is asked for later, so that nobody waits behind us.
SELECT set_config('lock_timeout', %(patience)s, true)

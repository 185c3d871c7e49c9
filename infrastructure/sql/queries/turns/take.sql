-- Waits for the turn of this session, for as long as its lock_timeout says.
SELECT pg_advisory_lock(hashtextextended('dora_state turn ' || current_schema(), 0))

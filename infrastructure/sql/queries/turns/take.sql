-- Waits for the turn of this session, for some time at most.
WITH bounded AS MATERIALIZED (SELECT set_config('lock_timeout', %s, false))
SELECT pg_advisory_lock(hashtextextended('dora_state turn ' || current_schema(), 0)) FROM bounded

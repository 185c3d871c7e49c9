-- Ends the turn of this session.
SELECT pg_advisory_unlock(hashtextextended('dora_state turn ' || current_schema(), 0))

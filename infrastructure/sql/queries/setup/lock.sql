-- One migrates at a time; the others wait here.
SELECT pg_advisory_lock(hashtextextended('dora_state migrate', 0))

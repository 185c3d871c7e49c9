-- Let go of that lock.
SELECT pg_advisory_unlock(hashtextextended('projection ' || %(name)s || ' of ' || current_schema(), 0))

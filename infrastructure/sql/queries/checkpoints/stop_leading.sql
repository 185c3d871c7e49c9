-- Let another run it.
SELECT pg_advisory_unlock(hashtextextended('projection ' || %(name)s || ' of ' || current_schema(), 0))

-- Ask for the lock of those who run a projection of this schema; it goes with the session.
SELECT pg_try_advisory_lock(hashtextextended('projection ' || %(name)s || ' of ' || current_schema(), 0))

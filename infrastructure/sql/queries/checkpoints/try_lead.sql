-- Be the one who runs a projection of this schema, until the session ends or lets go.
SELECT pg_try_advisory_lock(hashtextextended('projection ' || %(name)s || ' of ' || current_schema(), 0))

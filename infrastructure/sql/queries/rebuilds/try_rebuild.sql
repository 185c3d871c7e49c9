-- Be the one who rebuilds a projection of a tenant, until the session ends.
SELECT pg_try_advisory_lock(hashtextextended('rebuild of ' || %(name)s || ' of ' || %(tenant)s, 0))

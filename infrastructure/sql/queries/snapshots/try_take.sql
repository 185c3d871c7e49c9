-- Be the one who takes this tenant's snapshots, until the session ends or lets go.
SELECT pg_try_advisory_lock(hashtextextended('snapshots of ' || current_schema(), 0))

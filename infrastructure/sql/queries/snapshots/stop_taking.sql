SELECT pg_advisory_unlock(hashtextextended('snapshots of ' || current_schema(), 0))

-- Be the one projector of this tenant, until the session ends or lets go.
SELECT pg_try_advisory_lock(hashtextextended('projector of ' || current_schema(), 0))

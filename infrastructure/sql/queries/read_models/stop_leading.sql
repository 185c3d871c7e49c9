-- Let another projector of this tenant take over.
SELECT pg_advisory_unlock(hashtextextended('projector of ' || current_schema(), 0))

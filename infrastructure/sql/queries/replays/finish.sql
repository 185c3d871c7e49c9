UPDATE replay SET finished_at = coalesce(finished_at, clock_timestamp())

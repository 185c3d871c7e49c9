-- Whether there is an attached partition for that time.
CREATE OR REPLACE FUNCTION has_month(p_at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM months m
        JOIN pg_inherits i ON i.inhrelid = to_regclass(m.partition) AND NOT i.inhdetachpending
        WHERE m.state = 'attached' AND m.starts_at <= p_at AND p_at < m.ends_at
    )
$$;

REVOKE EXECUTE ON FUNCTION has_month FROM PUBLIC;

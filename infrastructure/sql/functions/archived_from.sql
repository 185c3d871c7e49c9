-- The partitions that are archived and go on after a time, for people: one, or the first and the last. Null: none is.
CREATE OR REPLACE FUNCTION archived_from(p_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN min(m.partition)
        ELSE format('%s to %s', (array_agg(m.partition ORDER BY m.starts_at))[1],
            (array_agg(m.partition ORDER BY m.starts_at DESC))[1]) END
    FROM months m WHERE m.state = 'archived' AND m.ends_at > p_at
$$;

REVOKE EXECUTE ON FUNCTION archived_from FROM PUBLIC;
GRANT EXECUTE ON FUNCTION archived_from TO dora_state_writer, dora_state_projector;

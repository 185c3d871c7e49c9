-- Makes the partition for that time, its keys and its protection, and attaches it without a lock that
-- readers or appends would notice. The caller holds the append lock. A month whose beginning is archived
-- gets a second partition for the rest.
CREATE OR REPLACE FUNCTION make_month(p_at timestamptz) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_from timestamptz := date_trunc('month', p_at, 'UTC');
    v_to   timestamptz := (date_trunc('month', p_at AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    v_base text := 'events_' || to_char(p_at AT TIME ZONE 'UTC', 'YYYY_MM');
    v_name text := v_base;
    v_part int := 1;
BEGIN
    PERFORM archive_month(m.partition) FROM months m
    LEFT JOIN pg_inherits i ON i.inhrelid = to_regclass(m.partition) AND NOT i.inhdetachpending
    WHERE m.state = 'attached' AND i.inhrelid IS NULL;  -- detached by hand

    SELECT greatest(v_from, max(m.ends_at)) INTO v_from FROM months m WHERE m.starts_at >= v_from AND m.starts_at < v_to;
    WHILE to_regclass(v_name) IS NOT NULL LOOP
        v_part := v_part + 1;
        v_name := v_base || '_' || v_part;
    END LOOP;

    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name);
    EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (position), ADD UNIQUE (stream_id, version)', v_name);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', v_name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER refuse_change', v_name);
    EXECUTE format('GRANT SELECT ON %I TO dora_state_writer, dora_state_projector', v_name);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_name, v_from, v_to);
    INSERT INTO months (starts_at, ends_at, partition) VALUES (v_from, v_to, v_name);
    RETURN v_name;
END $$;

REVOKE EXECUTE ON FUNCTION make_month FROM PUBLIC;

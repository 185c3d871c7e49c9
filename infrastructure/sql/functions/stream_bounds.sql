-- Between which times a stream is to be read: its own, those asked for, and those of the months up to a position (null: no bound).
CREATE OR REPLACE FUNCTION stream_bounds(
    p_stream streams, p_from_at timestamptz, p_until_at timestamptz, p_until_position bigint,
    OUT from_at timestamptz, OUT until_at timestamptz
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    from_at := greatest(p_stream.first_recorded_at, p_from_at);
    until_at := least((SELECT m.ends_at - interval '1 microsecond' FROM months m WHERE m.starts_at = p_stream.month), p_until_at);
    IF p_until_position IS NOT NULL THEN
        SELECT least(until_at, max(m.ends_at) - interval '1 microsecond') INTO until_at FROM months m
        WHERE m.first_position <= p_until_position;
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION stream_bounds FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stream_bounds TO dora_state_writer, dora_state_projector;

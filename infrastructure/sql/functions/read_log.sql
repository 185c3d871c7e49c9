-- What read_batch reads, however many bytes it has: for earlier releases, who take fewer than they asked for as the log's end.
CREATE OR REPLACE FUNCTION read_log(
    p_after bigint, p_limit int, p_categories text[], p_types text[], p_correlation text, p_until bigint
) RETURNS SETOF events LANGUAGE sql STABLE AS $$
    SELECT * FROM read_batch(p_after, p_limit, p_categories, p_types, p_correlation, p_until, 9223372036854775807)
$$;

REVOKE EXECUTE ON FUNCTION read_log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_log TO dora_state_writer, dora_state_projector;

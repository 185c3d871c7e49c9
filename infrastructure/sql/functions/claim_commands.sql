-- The first claim of an append: its command ids, sorted. Waits for another transaction that has one of them.
-- Returns for each whether it was recorded before.
CREATE OR REPLACE FUNCTION claim_commands(p_command_ids uuid[]) RETURNS boolean[]
LANGUAGE sql VOLATILE AS $$
    WITH claimed AS (
        INSERT INTO commands (command_id)
        SELECT u.id FROM unnest(p_command_ids) AS u (id) ORDER BY u.id
        ON CONFLICT DO NOTHING
        RETURNING command_id
    )
    SELECT array_agg(c.command_id IS NULL ORDER BY u.k)
    FROM unnest(p_command_ids) WITH ORDINALITY AS u (id, k)
    LEFT JOIN claimed c ON c.command_id = u.id
$$;

REVOKE EXECUTE ON FUNCTION claim_commands FROM PUBLIC;

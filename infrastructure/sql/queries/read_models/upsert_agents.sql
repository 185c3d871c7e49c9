-- Write documents of agents with what they are found by, set-wise; parameters are arrays, a place a document.
INSERT INTO agents (
    id, position, state, agent_type, node_id, capabilities, current_tasks, available_slots, registered_at, updated_at,
    document
)
SELECT
    id, position, state, agent_type, node_id, ARRAY(SELECT json_array_elements_text(capabilities::json)), current_tasks,
    available_slots, registered_at, updated_at, document::json
FROM unnest(
    %(id)b::text[],
    %(position)b::bigint[],
    %(state)b::text[],
    %(agent_type)b::text[],
    %(node_id)b::text[],
    %(capabilities)b::text[],
    %(current_tasks)b::integer[],
    %(available_slots)b::integer[],
    %(registered_at)b::timestamptz[],
    %(updated_at)b::timestamptz[],
    %(document)b::text[]
) AS new (
    id, position, state, agent_type, node_id, capabilities, current_tasks, available_slots, registered_at, updated_at,
    document
)
ON CONFLICT (id) DO UPDATE SET
    position = excluded.position,
    state = excluded.state,
    agent_type = excluded.agent_type,
    node_id = excluded.node_id,
    capabilities = excluded.capabilities,
    current_tasks = excluded.current_tasks,
    available_slots = excluded.available_slots,
    registered_at = excluded.registered_at,
    updated_at = excluded.updated_at,
    document = excluded.document
WHERE agents.position < excluded.position

-- Write documents of tasks with what they are found by, set-wise; parameters are arrays, a place a document.
INSERT INTO tasks (
    id, position, state, workflow_id, definition_id, agent_id, priority, created_at, scheduled_at,
    started_at, updated_at, ended_at, deadline,
    document
)
SELECT
    id, position, state, workflow_id, definition_id, agent_id, priority, created_at, scheduled_at,
    started_at, updated_at, ended_at, deadline,
    document::json
FROM unnest(
    %(id)b::text[],
    %(position)b::bigint[],
    %(state)b::text[],
    %(workflow_id)b::text[],
    %(definition_id)b::text[],
    %(agent_id)b::text[],
    %(priority)b::text[],
    %(created_at)b::timestamptz[],
    %(scheduled_at)b::timestamptz[],
    %(started_at)b::timestamptz[],
    %(updated_at)b::timestamptz[],
    %(ended_at)b::timestamptz[],
    %(deadline)b::timestamptz[],
    %(document)b::text[]
) AS new (
    id, position, state, workflow_id, definition_id, agent_id, priority, created_at, scheduled_at,
    started_at, updated_at, ended_at, deadline, document
)
ON CONFLICT (id) DO UPDATE SET
    position = excluded.position,
    state = excluded.state,
    workflow_id = excluded.workflow_id,
    definition_id = excluded.definition_id,
    agent_id = excluded.agent_id,
    priority = excluded.priority,
    created_at = excluded.created_at,
    scheduled_at = excluded.scheduled_at,
    started_at = excluded.started_at,
    updated_at = excluded.updated_at,
    ended_at = excluded.ended_at,
    deadline = excluded.deadline,
    document = excluded.document
WHERE tasks.position < excluded.position

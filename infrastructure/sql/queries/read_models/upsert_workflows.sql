-- Write documents of workflows with what they are found by, set-wise; parameters are arrays, a place a document.
INSERT INTO workflows (
    id, position, state, definition_id, definition_version, priority, created_at, started_at, limited_from, updated_at,
    ended_at, scheduled_completion,
    document
)
SELECT
    id, position, state, definition_id, definition_version, priority, created_at, started_at, limited_from, updated_at,
    ended_at, scheduled_completion,
    document::json
FROM unnest(
    %(id)b::text[],
    %(position)b::bigint[],
    %(state)b::text[],
    %(definition_id)b::text[],
    %(definition_version)b::text[],
    %(priority)b::text[],
    %(created_at)b::timestamptz[],
    %(started_at)b::timestamptz[],
    %(limited_from)b::timestamptz[],
    %(updated_at)b::timestamptz[],
    %(ended_at)b::timestamptz[],
    %(scheduled_completion)b::timestamptz[],
    %(document)b::text[]
) AS new (
    id, position, state, definition_id, definition_version, priority, created_at, started_at, limited_from, updated_at,
    ended_at, scheduled_completion, document
)
ON CONFLICT (id) DO UPDATE SET
    position = excluded.position,
    state = excluded.state,
    definition_id = excluded.definition_id,
    definition_version = excluded.definition_version,
    priority = excluded.priority,
    created_at = excluded.created_at,
    started_at = excluded.started_at,
    limited_from = excluded.limited_from,
    updated_at = excluded.updated_at,
    ended_at = excluded.ended_at,
    scheduled_completion = excluded.scheduled_completion,
    document = excluded.document
WHERE workflows.position < excluded.position

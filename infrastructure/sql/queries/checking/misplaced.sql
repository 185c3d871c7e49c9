-- Documents that are found by something else than what they say. What no document says (when a time limit of a workflow runs from,
-- the exact quantities of a pool) is not looked at. A document that is spoiled says nothing, and is told of by itself.
SELECT kind, id FROM (
    SELECT 'workflow' AS kind, id
    FROM workflows
    WHERE
        document ->> 'workflow_id' IS NOT NULL
        AND (
            position, state, definition_id, definition_version, priority, created_at, started_at, updated_at, ended_at,
            scheduled_completion
        ) IS DISTINCT FROM (
            (document ->> 'position')::bigint, document ->> 'state', document ->> 'definition_id', document ->> 'version',
            document ->> 'priority', (document ->> 'created_at')::timestamptz, (document ->> 'started_at')::timestamptz,
            (document ->> 'updated_at')::timestamptz, (document ->> 'ended_at')::timestamptz,
            (document ->> 'scheduled_completion')::timestamptz
        )
    UNION ALL
    SELECT 'task', id
    FROM tasks
    WHERE
        document ->> 'task_id' IS NOT NULL
        AND (
            position, state, workflow_id, definition_id, agent_id, priority, created_at, scheduled_at, started_at, updated_at,
            ended_at, deadline
        ) IS DISTINCT FROM (
            (document ->> 'position')::bigint, document ->> 'state', document ->> 'workflow_id', document ->> 'definition_id',
            document #>> '{assigned_agent,agent_id}', document ->> 'priority', (document ->> 'created_at')::timestamptz,
            (document ->> 'scheduled_at')::timestamptz, (document ->> 'started_at')::timestamptz,
            (document ->> 'updated_at')::timestamptz, (document ->> 'ended_at')::timestamptz,
            (document ->> 'deadline')::timestamptz
        )
    UNION ALL
    SELECT 'agent', id
    FROM agents
    WHERE
        document ->> 'agent_id' IS NOT NULL
        AND (
            position, state, agent_type, node_id, to_jsonb(capabilities), current_tasks, available_slots, registered_at,
            updated_at
        ) IS DISTINCT FROM (
            (document ->> 'position')::bigint, document ->> 'state', document ->> 'agent_type', document ->> 'node_id',
            (document -> 'capabilities')::jsonb, (document #>> '{capacity,current_tasks}')::integer,
            (document #>> '{capacity,available_slots}')::integer, (document ->> 'registration_time')::timestamptz,
            (document ->> 'updated_at')::timestamptz
        )
    UNION ALL
    SELECT 'pool', id
    FROM pools
    WHERE
        document ->> 'resource_pool_id' IS NOT NULL
        AND (position, next_expiry) IS DISTINCT FROM (
            (document ->> 'position')::bigint,
            (
                SELECT min((held ->> 'expires_at')::timestamptz)
                FROM json_array_elements(document -> 'reservations') AS held
            )
        )
) AS found
ORDER BY kind, id
LIMIT %(limit)s

-- Documents that are found by something else than what they say. What no document says (when a time limit of a workflow runs from,
-- the exact quantities of a pool) is not looked at. A document that says nothing of itself, or can't be looked into (which is asked
-- first), is told of by itself.
SELECT kind, id FROM (
    SELECT 'workflow' AS kind, id
    FROM (SELECT * FROM workflows WHERE is_readable(document) OFFSET 0) AS workflows
    WHERE
        document ->> 'workflow_id' IS NOT NULL
        AND (
            position, state, definition_id, definition_version, priority, created_at, started_at, updated_at, ended_at,
            scheduled_completion
        ) IS DISTINCT FROM (
            said_number(document ->> 'position'), document ->> 'state', document ->> 'definition_id', document ->> 'version',
            document ->> 'priority', said_time(document ->> 'created_at'), said_time(document ->> 'started_at'),
            said_time(document ->> 'updated_at'), said_time(document ->> 'ended_at'),
            said_time(document ->> 'scheduled_completion')
        )
    UNION ALL
    SELECT 'task', id
    FROM (SELECT * FROM tasks WHERE is_readable(document) OFFSET 0) AS tasks
    WHERE
        document ->> 'task_id' IS NOT NULL
        AND (
            position, state, workflow_id, definition_id, agent_id, priority, created_at, scheduled_at, started_at, updated_at,
            ended_at, deadline
        ) IS DISTINCT FROM (
            said_number(document ->> 'position'), document ->> 'state', document ->> 'workflow_id',
            document ->> 'definition_id', document #>> '{assigned_agent,agent_id}', document ->> 'priority',
            said_time(document ->> 'created_at'), said_time(document ->> 'scheduled_at'),
            said_time(document ->> 'started_at'), said_time(document ->> 'updated_at'), said_time(document ->> 'ended_at'),
            said_time(document ->> 'deadline')
        )
    UNION ALL
    SELECT 'agent', id
    FROM (SELECT * FROM agents WHERE is_readable(document) OFFSET 0) AS agents
    WHERE
        document ->> 'agent_id' IS NOT NULL
        AND (
            position, state, agent_type, node_id, to_jsonb(capabilities), current_tasks, available_slots, registered_at,
            updated_at
        ) IS DISTINCT FROM (
            said_number(document ->> 'position'), document ->> 'state', document ->> 'agent_type', document ->> 'node_id',
            (document -> 'capabilities')::jsonb, said_number(document #>> '{capacity,current_tasks}'),
            said_number(document #>> '{capacity,available_slots}'), said_time(document ->> 'registration_time'),
            said_time(document ->> 'updated_at')
        )
    UNION ALL
    SELECT 'pool', id
    FROM (SELECT * FROM pools WHERE is_readable(document) OFFSET 0) AS pools
    WHERE
        document ->> 'resource_pool_id' IS NOT NULL
        AND (position, next_expiry) IS DISTINCT FROM (
            said_number(document ->> 'position'),
            (
                SELECT min(said_time(held ->> 'expires_at'))
                FROM json_array_elements(
                    CASE WHEN json_typeof(document -> 'reservations') = 'array' THEN document -> 'reservations' END
                ) AS held
            )
        )
) AS found
ORDER BY kind, id
LIMIT %(limit)s

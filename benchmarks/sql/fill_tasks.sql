-- Tasks as a busy platform has them: 77 to a workflow, over half a year; the newest fiftieth is open, of the others nearly all
-- were completed. `body` is a document with places for what differs.
INSERT INTO tasks (
    id, position, state, workflow_id, definition_id, agent_id, priority, created_at, scheduled_at, started_at, updated_at,
    ended_at, deadline, document
)
SELECT
    id, n, state, workflow_id, definition_id, agent_id, priority, created_at, created_at + interval '5 s',
    CASE WHEN state NOT IN ('created', 'scheduled', 'assigned') THEN created_at + interval '9 s' END,
    updated_at, ended_at, deadline,
    format(
        %(body)s::text, id, workflow_id, definition_id, state, to_json(created_at), to_json(updated_at),
        coalesce(to_json(deadline)::text, 'null'), priority, coalesce(to_json(agent_id)::text, 'null')
    )::json
FROM (
    SELECT
        *,
        CASE WHEN state NOT IN ('created', 'scheduled') THEN 'agent-' || hash %% %(agents)s END AS agent_id,
        CASE WHEN state NOT IN ('created', 'scheduled', 'assigned', 'running') THEN updated_at END AS ended_at,
        CASE WHEN state = 'running' THEN created_at + hash %% 7200 * interval '1 s' END AS deadline
    FROM (
        SELECT
            n,
            hash,
            'task-' || lpad(n::text, 9, '0') AS id,
            'wf-' || lpad((n / 77)::text, 7, '0') AS workflow_id,
            'definition-' || hash / 7 %% 40 AS definition_id,
            ('{low,low,medium,medium,medium,medium,medium,medium,medium,high}'::text[])[1 + hash / 11 %% 10] AS priority,
            CASE
                WHEN n > %(count)s * 0.98 THEN ('{created,scheduled,assigned,running}'::text[])[1 + hash / 13 %% 4]
                WHEN hash / 17 %% 32 = 0 THEN ('{failed,timed_out,cancelled}'::text[])[1 + hash / 544 %% 3]
                ELSE 'completed'
            END AS state,
            at AS created_at,
            at + hash %% 86400 * interval '1 s' AS updated_at
        FROM (
            SELECT
                n,
                abs(hashint8(n))::bigint AS hash,
                %(now)s::timestamptz - (%(count)s + 1 - n) * (interval '180 days' / %(count)s) AS at
            FROM generate_series(1, %(count)s) AS n
        ) AS numbered
    ) AS shaped
) AS whole

-- Move the counts of tasks by what they are found by, from how they stand to how they are about to be written: to be run
-- before that, with the same parameters. So the counts are those of the table, whatever the documents come from.
WITH moved AS (
    SELECT
        was.id IS NOT NULL AS is_known,
        was.state AS old_state, was.workflow_id AS old_workflow, was.definition_id AS old_definition,
        was.agent_id AS old_agent, was.priority AS old_priority,
        new.*
    FROM unnest(
        %(id)b::text[],
        %(position)b::bigint[],
        %(state)b::text[],
        %(workflow_id)b::text[],
        %(definition_id)b::text[],
        %(agent_id)b::text[],
        %(priority)b::text[]
    ) AS new (id, position, state, workflow_id, definition_id, agent_id, priority)
    -- The limit keeps it a look by each id, however small the table was when this was planned.
    LEFT JOIN LATERAL (SELECT * FROM tasks WHERE tasks.id = new.id LIMIT 1) AS was ON true
    WHERE was.id IS NULL OR (
        was.position < new.position
        AND (was.state, was.workflow_id, was.definition_id, was.agent_id, was.priority)
        IS DISTINCT FROM (new.state, new.workflow_id, new.definition_id, new.agent_id, new.priority)
    )
),

steps AS (
    SELECT
        1 AS step, state, workflow_id, definition_id, coalesce(agent_id, '') AS agent_id, priority
    FROM moved
    UNION ALL
    SELECT -1, old_state, old_workflow, old_definition, coalesce(old_agent, ''), old_priority
    FROM moved
    WHERE is_known
),

cells AS (
    INSERT INTO task_cells (agent_id, definition_id, priority, state, count)
    SELECT agent_id, definition_id, priority, state, sum(step)
    FROM steps
    GROUP BY agent_id, definition_id, priority, state
    HAVING sum(step) <> 0
    ON CONFLICT (agent_id, definition_id, priority, state) DO UPDATE SET count = task_cells.count + excluded.count
)

INSERT INTO task_facets (facet, value, state, count)
SELECT facets.facet, facets.value, steps.state, sum(steps.step)
FROM steps
CROSS JOIN LATERAL (
    VALUES
    ('agent', steps.agent_id),
    ('definition', steps.definition_id),
    ('priority', steps.priority),
    ('workflow', steps.workflow_id)
) AS facets (facet, value)
GROUP BY facets.facet, facets.value, steps.state
HAVING sum(steps.step) <> 0
ON CONFLICT (facet, value, state) DO UPDATE SET count = task_facets.count + excluded.count

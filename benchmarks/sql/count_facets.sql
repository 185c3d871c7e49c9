-- What the projector would have counted of the tasks.
WITH cells AS (
    INSERT INTO task_cells (agent_id, definition_id, priority, state, count)
    SELECT coalesce(agent_id, ''), definition_id, priority, state, count(*) FROM tasks GROUP BY 1, 2, 3, 4
)

INSERT INTO task_facets (facet, value, state, count)
SELECT facet, value, state, count(*)
FROM tasks
CROSS JOIN LATERAL (
    VALUES
    ('agent', coalesce(agent_id, '')), ('definition', definition_id), ('priority', priority), ('workflow', workflow_id)
) AS facets (facet, value)
GROUP BY facet, value, state

-- Where the number of tasks by a facet and state, or by all facets together, is not what was counted, at one moment.
WITH facets AS (
    SELECT facet, value, state, count(*) AS count
    FROM tasks
    CROSS JOIN LATERAL (
        VALUES
        ('agent', coalesce(agent_id, '')), ('definition', definition_id), ('priority', priority), ('workflow', workflow_id)
    ) AS of_task (facet, value)
    GROUP BY facet, value, state
),

cells AS (
    SELECT coalesce(agent_id, '') AS agent_id, definition_id, priority, state, count(*) AS count
    FROM tasks
    GROUP BY 1, 2, 3, 4
)

SELECT concat_ws(' ', 'task of', facet, value), state, coalesce(counted.count, 0), coalesce(facets.count, 0)
FROM (SELECT * FROM task_facets WHERE count <> 0) AS counted
FULL JOIN facets USING (facet, value, state)
WHERE counted.count IS DISTINCT FROM facets.count
UNION ALL
SELECT concat_ws(' ', 'task of', agent_id, definition_id, priority), state, coalesce(counted.count, 0), coalesce(cells.count, 0)
FROM (SELECT * FROM task_cells WHERE count <> 0) AS counted
FULL JOIN cells USING (agent_id, definition_id, priority, state)
WHERE counted.count IS DISTINCT FROM cells.count
ORDER BY 1, 2
LIMIT %(limit)s

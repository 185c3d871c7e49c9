-- The columns of a board by workflow, of tasks that are filtered by other facets: the next workflows that have tasks, each with
-- those that pass the filters.
SELECT page.value, (
    SELECT json_object_agg(state, count)
    FROM (
        SELECT state, count(*) AS count
        FROM tasks
        WHERE
            workflow_id = page.value
            AND state = ANY(%(states)s::text[])
            AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
            AND (%(definition_id)s::text IS NULL OR definition_id = %(definition_id)s)
            AND (%(priority)s::text IS NULL OR priority = %(priority)s)
        GROUP BY state
    ) AS counted
)
FROM (
    SELECT value
    FROM task_facets
    WHERE facet = 'workflow' AND count <> 0 AND (%(mark)s::text IS NULL OR value > %(mark)s)
    GROUP BY value
    ORDER BY value
    LIMIT %(limit)s
) AS page
ORDER BY page.value

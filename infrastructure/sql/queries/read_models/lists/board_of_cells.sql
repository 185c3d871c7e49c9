-- The columns of a board by {facet}, of tasks that are filtered by several facets.
SELECT value, json_object_agg(state, count ORDER BY state)
FROM (
    SELECT {facet} AS value, state, sum(count)::bigint AS count
    FROM task_cells
    WHERE
        count <> 0
        AND state = ANY(%(states)s::text[])
        AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
        AND (%(definition_id)s::text IS NULL OR definition_id = %(definition_id)s)
        AND (%(priority)s::text IS NULL OR priority = %(priority)s)
        AND (%(mark)s::text IS NULL OR {facet} > %(mark)s)
    GROUP BY {facet}, state
) AS cells
GROUP BY value
ORDER BY value
LIMIT %(limit)s

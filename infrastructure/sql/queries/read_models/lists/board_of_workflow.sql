-- The columns of a board by {facet} of one workflow's tasks.
SELECT value, json_object_agg(state, count ORDER BY state)
FROM (
    SELECT coalesce({facet}, '') AS value, state, count(*) AS count
    FROM tasks
    WHERE
        workflow_id = %(workflow_id)s
        AND state = ANY(%(states)s::text[])
        AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
        AND (%(definition_id)s::text IS NULL OR definition_id = %(definition_id)s)
        AND (%(priority)s::text IS NULL OR priority = %(priority)s)
    GROUP BY 1, 2
) AS counted
WHERE %(mark)s::text IS NULL OR value > %(mark)s
GROUP BY value
ORDER BY value
LIMIT %(limit)s

-- The columns of a board by one facet, by their values: how many tasks of each are in which state.
SELECT value, json_object_agg(state, count ORDER BY state)
FROM task_facets
WHERE
    facet = %(facet)s
    AND count <> 0
    AND state = ANY(%(states)s::text[])
    AND (%(value)s::text IS NULL OR value = %(value)s)
    AND (%(mark)s::text IS NULL OR value > %(mark)s)
GROUP BY value
ORDER BY value
LIMIT %(limit)s

-- A page of running tasks that have a deadline, by it; a null filter lets everything through. {direction} and {beyond} say
-- from which end.
SELECT tasks.id, tasks.position, tasks.document::text
FROM (
    SELECT t.deadline AS key, t.id
    FROM tasks AS t
    WHERE
        t.state = 'running'
        AND t.deadline IS NOT NULL
        AND (t.deadline, t.id) {beyond} (%(from_at)s::text::timestamptz, %(from_id)s::text)
        AND (%(due)s::timestamptz IS NULL OR t.deadline <= %(due)s)
        AND t.priority = ANY(%(priorities)s::text[])
        AND (%(workflow_id)s::text IS NULL OR t.workflow_id = %(workflow_id)s)
        AND (%(agent_id)s::text IS NULL OR t.agent_id = %(agent_id)s)
        AND (%(definition_id)s::text IS NULL OR t.definition_id = %(definition_id)s)
    ORDER BY t.deadline {direction}, t.id {direction}
    LIMIT %(limit)s
) AS page
INNER JOIN tasks ON tasks.id = page.id
ORDER BY page.key {direction}, page.id {direction}

-- A page of tasks. For each state and priority that is asked for there is a walk through an index from a place on, so that a
-- page takes no longer far back or where few tasks are like that. A null filter lets everything through. {key}, {direction}
-- and {beyond} say by what they are sorted.
SELECT tasks.id, tasks.position, tasks.document::text
FROM (
    SELECT walk.rank, found.key, found.id
    FROM unnest(
        %(states)s::text[],
        %(priorities)s::text[],
        %(ranks)s::integer[],
        %(from_at)s::text[]::timestamptz[],
        %(from_id)s::text[]
    ) AS walk (state, priority, rank, at, id)
    CROSS JOIN LATERAL (
        SELECT t.{key} AS key, t.id
        FROM tasks AS t
        WHERE
            t.state = walk.state
            AND t.priority = walk.priority
            AND (t.{key}, t.id) {beyond} (walk.at, walk.id)
            AND (%(workflow_id)s::text IS NULL OR t.workflow_id = %(workflow_id)s)
            AND (%(agent_id)s::text IS NULL OR t.agent_id = %(agent_id)s)
            AND (%(definition_id)s::text IS NULL OR t.definition_id = %(definition_id)s)
            AND (
                %(quiet_since)s::timestamptz IS NULL
                OR t.updated_at <= %(quiet_since)s
                OR (t.state = 'running' AND t.deadline <= %(now)s)
            )
            AND (
                NOT %(of_running_workflows)s::boolean
                OR (SELECT w.state FROM workflows AS w WHERE w.id = t.workflow_id) = 'running'
            )
        ORDER BY t.{key} {direction}, t.id {direction}
        LIMIT %(limit)s
    ) AS found
    ORDER BY walk.rank, found.key {direction}, found.id {direction}
    LIMIT %(limit)s
) AS page
INNER JOIN tasks ON tasks.id = page.id
ORDER BY page.rank, page.key {direction}, page.id {direction}

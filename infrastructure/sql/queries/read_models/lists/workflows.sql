-- A page of workflows, found as tasks are. What is null by what they are sorted is not among them.
SELECT workflows.id, workflows.position, workflows.document::text
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
        SELECT w.{key} AS key, w.id
        FROM workflows AS w
        WHERE
            w.state = walk.state
            AND w.priority = walk.priority
            AND w.{key} IS NOT NULL
            AND (w.{key}, w.id) {beyond} (walk.at, walk.id)
            AND (%(definition_id)s::text IS NULL OR w.definition_id = %(definition_id)s)
            AND (%(version)s::text IS NULL OR w.definition_version = %(version)s)
            AND (%(prefix)s::text IS NULL OR (w.id >= %(prefix)s AND w.id < %(after_prefix)s))
            AND (%(created_from)s::timestamptz IS NULL OR w.created_at >= %(created_from)s)
            AND (%(created_before)s::timestamptz IS NULL OR w.created_at < %(created_before)s)
            AND (%(started_from)s::timestamptz IS NULL OR w.started_at >= %(started_from)s)
            AND (%(started_before)s::timestamptz IS NULL OR w.started_at < %(started_before)s)
            AND (%(ended_from)s::timestamptz IS NULL OR w.ended_at >= %(ended_from)s)
            AND (%(ended_before)s::timestamptz IS NULL OR w.ended_at < %(ended_before)s)
            AND (%(overdue_at)s::timestamptz IS NULL OR (w.scheduled_completion <= %(overdue_at)s AND w.ended_at IS NULL))
        ORDER BY w.{key} {direction}, w.id {direction}
        LIMIT %(limit)s
    ) AS found
    ORDER BY walk.rank, found.key {direction}, found.id {direction}
    LIMIT %(limit)s
) AS page
INNER JOIN workflows ON workflows.id = page.id
ORDER BY page.rank, page.key {direction}, page.id {direction}

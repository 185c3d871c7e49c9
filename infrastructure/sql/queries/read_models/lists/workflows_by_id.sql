-- A page of workflows by their ids, in the order of their bytes; a null filter lets everything through. {direction} and
-- {beyond} say from which end.
SELECT workflows.id, workflows.position, workflows.document::text
FROM (
    SELECT w.id
    FROM workflows AS w
    WHERE
        w.state = ANY(%(states)s::text[])
        AND w.priority = ANY(%(priorities)s::text[])
        AND (%(from_id)s::text IS NULL OR w.id {beyond} %(from_id)s)
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
    ORDER BY w.id {direction}
    LIMIT %(limit)s
) AS page
INNER JOIN workflows ON workflows.id = page.id
ORDER BY page.id {direction}

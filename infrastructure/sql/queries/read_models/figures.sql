-- The system's rates at a moment. Windows are open at their beginning and closed at their end.
SELECT
    checkpoints.position,
    checkpoints.recorded_at,
    (SELECT json_agg(json_build_array(kind, state, count)) FROM counts) AS counts,
    (SELECT count(*) FROM tasks WHERE state = 'completed' AND ended_at >= %(today)s AND ended_at <= %(now)s)
        AS completed_today,
    day.ended,
    day.failed,
    day.average_response_time,
    day.completed_lately,
    (
        SELECT count(*) FROM workflows
        WHERE state = 'completed' AND ended_at > %(day_ago)s AND ended_at <= %(now)s
    ) AS workflows_completed,
    lent.cpu_allocated,
    lent.cpu_total,
    lent.memory_allocated,
    lent.memory_total,
    lent.storage_allocated,
    lent.storage_total
FROM checkpoints,
    (
        SELECT
            count(*) FILTER (WHERE outcome <> 'cancelled') AS ended,
            count(*) FILTER (WHERE outcome IN ('failed', 'timed_out')) AS failed,
            avg(response_time) AS average_response_time,
            count(*) FILTER (WHERE outcome = 'completed' AND at > %(lately)s) AS completed_lately
        FROM attempts
        WHERE at > %(day_ago)s AND at <= %(now)s
    ) AS day,
    (
        SELECT
            coalesce(sum(cpu_allocated), 0) AS cpu_allocated,
            coalesce(sum(cpu_total), 0) AS cpu_total,
            coalesce(sum(memory_allocated), 0) AS memory_allocated,
            coalesce(sum(memory_total), 0) AS memory_total,
            coalesce(sum(storage_allocated), 0) AS storage_allocated,
            coalesce(sum(storage_total), 0) AS storage_total
        FROM pools
    ) AS lent
WHERE checkpoints.name = 'states'

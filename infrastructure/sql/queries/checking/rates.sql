-- The minutes and quarters of an hour of which the rates are not what attempts and completions give, at one moment.
WITH ended AS (
    SELECT at, outcome, response_time, duration FROM attempts
    UNION ALL
    SELECT at, NULL, NULL, NULL FROM completions
),

told AS (
    SELECT
        grains.grain,
        date_bin(grains.width, ended.at, 'epoch') AS begin_at,
        count(*) FILTER (WHERE outcome = 'completed') AS completed,
        count(*) FILTER (WHERE outcome = 'failed') AS failed,
        count(*) FILTER (WHERE outcome = 'timed_out') AS timed_out,
        count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
        count(response_time) AS responses,
        coalesce(sum(round(response_time * 1000000)::bigint), 0) AS response_time,
        count(duration) FILTER (WHERE outcome = 'completed') AS executions,
        coalesce(sum(round(duration * 1000000)::bigint) FILTER (WHERE outcome = 'completed'), 0) AS execution_time,
        count(*) FILTER (WHERE outcome IS NULL) AS workflows
    FROM ended
    CROSS JOIN (VALUES ('minute', interval '1 minute'), ('quarter', interval '15 minutes')) AS grains (grain, width)
    GROUP BY 1, 2
)

SELECT grain, begin_at
FROM (
    SELECT * FROM rates
    WHERE (completed, failed, timed_out, cancelled, responses, response_time, executions, execution_time, workflows)
        <> (0, 0, 0, 0, 0, 0, 0, 0, 0)
) AS kept
FULL JOIN told USING (grain, begin_at)
WHERE (
    kept.completed, kept.failed, kept.timed_out, kept.cancelled, kept.responses, kept.response_time, kept.executions,
    kept.execution_time, kept.workflows
) IS DISTINCT FROM (
    told.completed, told.failed, told.timed_out, told.cancelled, told.responses, told.response_time, told.executions,
    told.execution_time, told.workflows
)
ORDER BY begin_at, grain
LIMIT %(limit)s

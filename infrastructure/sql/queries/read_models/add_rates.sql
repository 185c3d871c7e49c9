-- Add what ended at these positions to the minutes and quarters of an hour in which it did, or take it from them (sign -1).
INSERT INTO rates (
    grain, begin_at, completed, failed, timed_out, cancelled, responses, response_time, executions, execution_time, workflows
)
SELECT
    grains.grain,
    date_bin(grains.width, ended.at, 'epoch'),
    %(sign)s * count(*) FILTER (WHERE ended.outcome = 'completed'),
    %(sign)s * count(*) FILTER (WHERE ended.outcome = 'failed'),
    %(sign)s * count(*) FILTER (WHERE ended.outcome = 'timed_out'),
    %(sign)s * count(*) FILTER (WHERE ended.outcome = 'cancelled'),
    %(sign)s * count(ended.response_time),
    %(sign)s * coalesce(sum(round(ended.response_time * 1000000)::bigint), 0),
    %(sign)s * count(ended.duration) FILTER (WHERE ended.outcome = 'completed'),
    %(sign)s * coalesce(sum(round(ended.duration * 1000000)::bigint) FILTER (WHERE ended.outcome = 'completed'), 0),
    %(sign)s * count(*) FILTER (WHERE ended.outcome IS NULL)
FROM (
    SELECT at, outcome, response_time, duration FROM attempts WHERE position = ANY(%(positions)b::bigint[])
    UNION ALL
    SELECT at, NULL, NULL, NULL FROM completions WHERE position = ANY(%(positions)b::bigint[])
) AS ended
CROSS JOIN (VALUES ('minute', interval '1 minute'), ('quarter', interval '15 minutes')) AS grains (grain, width)
GROUP BY 1, 2
ON CONFLICT (grain, begin_at) DO UPDATE SET
    completed = rates.completed + excluded.completed,
    failed = rates.failed + excluded.failed,
    timed_out = rates.timed_out + excluded.timed_out,
    cancelled = rates.cancelled + excluded.cancelled,
    responses = rates.responses + excluded.responses,
    response_time = rates.response_time + excluded.response_time,
    executions = rates.executions + excluded.executions,
    execution_time = rates.execution_time + excluded.execution_time,
    workflows = rates.workflows + excluded.workflows

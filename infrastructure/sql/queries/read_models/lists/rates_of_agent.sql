-- The same of what one agent was at, from the attempts themselves. No workflow is completed by a single agent.
SELECT
    width_bucket(at, %(bounds)s::timestamptz[]) AS place,
    count(*) FILTER (WHERE outcome = 'completed'),
    count(*) FILTER (WHERE outcome = 'failed'),
    count(*) FILTER (WHERE outcome = 'timed_out'),
    count(*) FILTER (WHERE outcome = 'cancelled'),
    count(response_time),
    coalesce(sum(round(response_time * 1000000)::bigint), 0)::bigint,
    count(duration) FILTER (WHERE outcome = 'completed'),
    coalesce(sum(round(duration * 1000000)::bigint) FILTER (WHERE outcome = 'completed'), 0)::bigint,
    0::bigint
FROM attempts
WHERE agent_id = %(agent_id)s AND at >= %(first)s AND at < %(last)s
GROUP BY 1

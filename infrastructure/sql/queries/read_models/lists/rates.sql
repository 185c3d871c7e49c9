-- What ended between moments: for each stretch from one to the next, by its place from 1. Stretches are open at their end.
SELECT
    width_bucket(begin_at, %(bounds)s::timestamptz[]) AS place,
    sum(completed)::bigint,
    sum(failed)::bigint,
    sum(timed_out)::bigint,
    sum(cancelled)::bigint,
    sum(responses)::bigint,
    sum(response_time)::bigint,
    sum(executions)::bigint,
    sum(execution_time)::bigint,
    sum(workflows)::bigint
FROM rates
WHERE grain = %(grain)s AND begin_at >= %(first)s AND begin_at < %(last)s
GROUP BY 1

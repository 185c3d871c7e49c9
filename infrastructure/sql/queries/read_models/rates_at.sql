-- The system's rates as they were at a moment, when the log ended at a position. Windows are open at their beginning and
-- closed at their end, but for the day, which begins at midnight.
SELECT
    count(*) FILTER (WHERE outcome = 'completed' AND at >= %(today)s) AS completed_today,
    count(*) FILTER (WHERE at > %(day_ago)s AND outcome <> 'cancelled') AS ended,
    count(*) FILTER (WHERE at > %(day_ago)s AND outcome IN ('failed', 'timed_out')) AS failed,
    avg(response_time) FILTER (WHERE at > %(day_ago)s) AS average_response_time,
    count(*) FILTER (WHERE at > %(lately)s AND outcome = 'completed') AS completed_lately,
    (
        SELECT count(*) FROM completions
        WHERE at > %(day_ago)s AND at <= %(now)s AND position <= %(position)s
    ) AS workflows_completed
FROM attempts
WHERE at >= least(%(day_ago)s, %(today)s) AND at <= %(now)s AND position <= %(position)s

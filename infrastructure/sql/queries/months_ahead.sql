-- From the newest month that holds events or the clock's, to the end of two months after it.
SELECT ensure_months(
    greatest(clock_timestamp(), last_recorded_at),
    ((greatest(clock_timestamp(), last_recorded_at) AT TIME ZONE 'UTC') + interval '2 months') AT TIME ZONE 'UTC'
)
FROM log_head()

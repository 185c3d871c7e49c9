-- How far the clock that events are recorded by is ahead of the server's: 0, unless a drill has set it.
SELECT extract(epoch FROM log_clock() - clock_timestamp())::float8

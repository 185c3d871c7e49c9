-- Claim for one worker what is due of some jobs. One row a job: how many slots nobody has begun, 0 where nothing was claimed now,
-- and the seconds until it is due again. A claim that lies in the future is one of a clock that was set back, and holds nobody up.
WITH asked AS (
    SELECT * FROM unnest(%(jobs)s::text[], %(seconds)s::float8[]) AS a (job, seconds)
), claimed AS (
    INSERT INTO schedules AS s (job, every, slot, claimed_at, claimed_by)
    SELECT a.job, make_interval(secs => a.seconds), 1, clock_timestamp(), %(worker)s
    FROM asked a LEFT JOIN schedules k USING (job)
    WHERE k.job IS NULL
        OR clock_timestamp() NOT BETWEEN k.claimed_at AND k.claimed_at + make_interval(secs => a.seconds)
    ORDER BY a.job
    -- Asked again of the row itself, once nobody else is at it.
    ON CONFLICT (job) DO UPDATE
    SET every = excluded.every, slot = s.slot + 1, claimed_at = clock_timestamp(), claimed_by = excluded.claimed_by
    WHERE clock_timestamp() NOT BETWEEN s.claimed_at AND s.claimed_at + excluded.every
    RETURNING s.job, s.slot - s.begun_slot AS open
)
SELECT a.job, coalesce(c.open, 0), CASE WHEN c.job IS NOT NULL THEN a.seconds
    ELSE coalesce(greatest(a.seconds - extract(epoch FROM clock_timestamp() - k.claimed_at)::float8, 0), 0) END
FROM asked a LEFT JOIN claimed c USING (job) LEFT JOIN schedules k USING (job)

-- Begin the last slot of a job, once; no row where it is begun. Older ones that nobody has begun go with it.
UPDATE schedules
SET begun_slot = slot, begun_at = clock_timestamp(), begun_by = %(worker)s
WHERE job = %(job)s AND begun_slot < slot
RETURNING slot

-- Who waits for a lock, by its session, and since when.
SELECT l.stream_id, a.pid, s.application_name, a.waitstart
FROM live_locks() AS l
INNER JOIN pg_locks AS a
    ON a.locktype = 'advisory' AND NOT a.granted AND a.objsubid = 1
    AND a.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND (a.classid::bigint << 32 | a.objid::bigint) = lock_key(l.stream_id)
LEFT JOIN pg_stat_activity AS s ON s.pid = a.pid
ORDER BY l.stream_id, a.waitstart

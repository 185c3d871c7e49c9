-- Who holds the lock of `setup/lock`.
SELECT format('%s, pid %s', coalesce(nullif(a.application_name, ''), 'a session without a name'), l.pid)
FROM pg_locks l
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended('dora_state migrate', 0)

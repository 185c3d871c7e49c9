-- What is older than a day, and what another process noted that had this name before.
DELETE FROM process_memory
WHERE at < now() - interval '24 hours'
    OR process = %(process)s AND at < now() - make_interval(secs => %(age_seconds)s)

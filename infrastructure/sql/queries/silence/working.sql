-- When the server began, and those of the sessions for which it works on something, or of which it does not say.
SELECT pg_postmaster_start_time(), a.pid, a.backend_start
FROM (SELECT) one
LEFT JOIN pg_stat_activity a ON a.pid = ANY (%s) AND a.datname = current_database()
    AND (a.state IS NULL OR a.state IN ('active', 'fastpath function call', 'disabled'))
    -- It waits for the rest of what was sent, of which a part was lost.
    AND (a.wait_event IS NULL OR a.wait_event <> 'ClientRead')

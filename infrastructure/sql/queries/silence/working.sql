-- Sessions of ours for which the server works on something, or of which it does not say.
SELECT pid FROM pg_stat_activity
WHERE pid = ANY (%s) AND datname = current_database() AND (state IS NULL OR state IN ('active', 'fastpath function call', 'disabled'))

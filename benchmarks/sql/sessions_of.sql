-- How many sessions the processes of a tenant have.
SELECT count(*) FROM pg_stat_activity WHERE application_name ~ ('^dora-state .* ' || %s || '$')

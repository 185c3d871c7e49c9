WITH asked AS MATERIALIZED (SELECT %s::text[] AS ids)
SELECT u.id, u.version FROM asked, unnest(asked.ids, stream_versions(asked.ids)) AS u (id, version)
WHERE u.version IS NOT NULL

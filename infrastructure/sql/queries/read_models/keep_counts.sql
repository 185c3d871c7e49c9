-- Keep the counts as they are at this position, where the last ones kept are `spacing` positions back.
INSERT INTO kept_counts (position, recorded_at, counts)
SELECT
    %(position)s,
    %(recorded_at)s,
    (SELECT coalesce(json_agg(json_build_array(kind, state, count)), '[]') FROM counts)
WHERE %(position)s >= coalesce((SELECT max(position) FROM kept_counts), 0) + %(spacing)s

SELECT stream_id, version
FROM due_snapshots(%(after)s, %(until)s, %(spacing)s, %(categories)s::text[], %(schemas)s::text[], %(fold_versions)s::int[])

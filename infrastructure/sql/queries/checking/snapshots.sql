-- The snapshots of a stream with a stamp, after a version and up to another.
SELECT version, position, following, recorded_at, digest, state FROM snapshots
WHERE stream_id = %(stream_id)s AND schema = %(schema)s AND fold_version = %(fold_version)s
    AND version > %(after)s AND version <= %(until)s
ORDER BY version

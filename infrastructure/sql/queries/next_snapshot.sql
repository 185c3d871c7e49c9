SELECT version, position, following, recorded_at, digest, state FROM next_snapshot(%s, %s, %s, %s)
WHERE version IS NOT NULL

SELECT version, topic, state FROM library_snapshots
WHERE purpose = %s AND stream_id = %s AND version > %s::bigint AND version <= %s::bigint
ORDER BY version DESC LIMIT %s::bigint

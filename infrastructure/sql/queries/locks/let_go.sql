SELECT pg_advisory_unlock(lock_key(%(stream_id)s))

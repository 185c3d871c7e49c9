-- Be the one who may take the lock of a stream, for as long as the session lasts or until it is let go.
SELECT pg_advisory_lock(lock_key(%(stream_id)s))

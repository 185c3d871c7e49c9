SELECT take_lock(%(stream_id)s, %(holder)s, %(session_start)s, %(seconds)s)

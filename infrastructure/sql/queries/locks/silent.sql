-- The session of a holder that is there and was not heard of in time: it was stopped, perhaps.
SELECT l.pid, l.session_start FROM locks AS l WHERE l.stream_id = %(stream_id)s AND l.held_until < clock_timestamp()

SELECT stream_id, holder, token, pid, taken_at, held_until FROM live_locks() ORDER BY taken_at, stream_id

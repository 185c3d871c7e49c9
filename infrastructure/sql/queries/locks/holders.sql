SELECT l.stream_id, l.holder, l.token, p.process, l.taken_at, least(l.held_until, p.seen_until)
FROM live_locks() AS l
INNER JOIN lock_places AS p ON p.place = l.place
ORDER BY l.taken_at, l.stream_id

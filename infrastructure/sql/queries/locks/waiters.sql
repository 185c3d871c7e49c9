-- Who waits for what, and since when: in the order in which they will have it.
SELECT w.stream_id, w.holder, p.process, w.since
FROM lock_waiters AS w
INNER JOIN live_places() AS p ON p.place = w.place
ORDER BY w.ticket

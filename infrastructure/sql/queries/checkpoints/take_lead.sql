-- Be the one who runs a projection: where whoever did let go, or is gone (we have the lock that it had), or is not heard of any
-- more (it may have been stopped, and holds the lock still). No answer: another runs it. The new term is what tells it from all
-- before; `silent_pid` and `silent_start` name the session of one that was not heard of.
UPDATE leads AS l
SET term = l.term + 1, locked = %(locked)s, held_until = clock_timestamp() + make_interval(secs => %(seconds)s),
    backend_pid = pg_backend_pid(),
    backend_start = %(session_start)s
FROM (
    SELECT name, held_until, locked, backend_pid, backend_start FROM leads WHERE name = %(name)s FOR UPDATE SKIP LOCKED
) AS found
WHERE l.name = found.name AND (
    found.held_until <= clock_timestamp()
    -- Nobody holds it for so long: the clock was set back.
    OR found.held_until > clock_timestamp() + make_interval(secs => 3 * %(seconds)s)
    OR found.locked AND %(locked)s
)
RETURNING l.term,
    CASE WHEN found.held_until > '-infinity' AND found.backend_pid <> pg_backend_pid() THEN found.backend_pid END AS silent_pid,
    found.backend_start AS silent_start

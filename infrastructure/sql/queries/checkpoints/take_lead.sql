-- Be the one who runs a projection: where whoever did let go, or is gone (we have the lock that it had), or is not heard of any
-- more (it may have been stopped, and holds the lock still). No answer: another runs it, or is just writing. The new term is what
-- tells it from all before.
UPDATE checkpoints AS c
SET term = c.term + 1, locked = %(locked)s, held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
FROM (SELECT name, held_until, locked FROM checkpoints WHERE name = %(name)s FOR UPDATE SKIP LOCKED) AS found
WHERE c.name = found.name AND (found.held_until <= clock_timestamp() OR found.locked AND %(locked)s)
RETURNING c.term

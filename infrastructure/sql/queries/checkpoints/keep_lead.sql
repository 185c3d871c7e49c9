-- We are still there. No answer: another took over.
UPDATE leads SET held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE name = %(name)s AND term = %(term)s
RETURNING true

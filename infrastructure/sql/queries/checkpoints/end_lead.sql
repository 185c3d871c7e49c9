-- Let another take over at once.
UPDATE leads SET held_until = '-infinity' WHERE name = %(name)s AND term = %(term)s

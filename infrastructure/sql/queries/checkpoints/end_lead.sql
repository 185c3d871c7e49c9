-- Let another take over at once.
UPDATE checkpoints SET held_until = '-infinity' WHERE name = %(name)s AND term = %(term)s

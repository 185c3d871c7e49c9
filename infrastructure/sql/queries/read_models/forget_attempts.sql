-- Attempts at these positions, which are written anew.
DELETE FROM attempts WHERE position = ANY (%(positions)s)

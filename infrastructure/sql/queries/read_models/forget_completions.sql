-- Completions at these positions, which are written anew.
DELETE FROM completions WHERE position = ANY (%(positions)s)

-- The last counts that were kept at or before a position.
SELECT position, counts FROM kept_counts WHERE position <= %(position)s ORDER BY position DESC LIMIT 1

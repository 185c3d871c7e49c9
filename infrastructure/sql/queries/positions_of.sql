SELECT position FROM positions_of(%s, %s, %s) AS position ORDER BY position

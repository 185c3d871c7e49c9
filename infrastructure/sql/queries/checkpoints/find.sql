-- How far a projection is, which version of it, which generation of its tables, and in whose term.
SELECT c.position, c.recorded_at, c.version, c.generation, l.term
FROM checkpoints AS c
INNER JOIN leads AS l ON l.name = c.name
WHERE c.name = %(name)s

-- The same; nobody else moves the checkpoint until this transaction ends. A term may end meanwhile: then its successor waits for
-- this transaction, and finds the checkpoint moved.
SELECT c.position, c.recorded_at, c.version, c.generation, l.term
FROM checkpoints AS c
INNER JOIN leads AS l ON l.name = c.name
WHERE c.name = %(name)s
FOR UPDATE OF c

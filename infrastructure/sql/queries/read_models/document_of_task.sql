-- One document by its id.
SELECT id, position, document::text FROM tasks WHERE id = %(id)s

-- One document by its id.
SELECT id, position, document::text FROM agents WHERE id = %(id)s

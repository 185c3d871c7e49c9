-- One document by its id.
SELECT id, position, document::text FROM workflows WHERE id = %(id)s

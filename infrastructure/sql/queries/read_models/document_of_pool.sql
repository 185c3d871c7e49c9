-- One document by its id.
SELECT id, position, document::text FROM pools WHERE id = %(id)s

-- One document by its id.
SELECT id, position, document::text FROM systems WHERE id = %(id)s

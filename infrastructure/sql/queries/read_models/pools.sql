-- Resource pools by their ids.
SELECT id, position, document::text
FROM pools
WHERE %(mark_id)s::text IS NULL OR id > %(mark_id)s
ORDER BY id
LIMIT %(limit)s

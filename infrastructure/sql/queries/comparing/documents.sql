-- The next documents by their ids, each as a digest of its text.
SELECT id, position, md5(document::text) FROM {table} WHERE id > %(after)s ORDER BY id LIMIT %(limit)s

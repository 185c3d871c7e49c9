-- Some documents, each as a digest of its text.
SELECT id, position, md5(document::text) FROM {table} WHERE id = ANY (%(ids)s)

-- The next documents by their ids, each as a digest of its text and of all that it is found by.
SELECT id, position, md5(one::text) FROM {table} AS one WHERE id > %(after)s ORDER BY id LIMIT %(limit)s

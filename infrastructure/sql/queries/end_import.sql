SELECT end_import(%s)

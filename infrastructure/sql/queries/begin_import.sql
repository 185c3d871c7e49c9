SELECT begin_import(%s)

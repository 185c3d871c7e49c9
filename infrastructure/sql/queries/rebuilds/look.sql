-- Which schema's tables are meant from here on.
SELECT set_config('search_path', %(path)s, false)

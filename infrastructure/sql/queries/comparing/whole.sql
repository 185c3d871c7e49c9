-- How many rows there are that say something, and a digest of what they say together.
SELECT count(*), coalesce(sum(hashtextextended(one::text, 0)), 0)::text FROM {table} AS one WHERE {telling}

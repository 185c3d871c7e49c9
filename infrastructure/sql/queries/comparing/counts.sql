-- All rows but those that count nothing.
SELECT to_jsonb(one)::text FROM {table} AS one WHERE count <> 0

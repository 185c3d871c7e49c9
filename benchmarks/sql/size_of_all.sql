-- What all tenants of the database take, in bytes, and how many tables, indexes and the like they are.
SELECT pg_database_size(current_database()), (SELECT count(*) FROM pg_class)

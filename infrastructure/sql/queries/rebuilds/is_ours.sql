-- Null: there is no such schema. Else whether a rebuild made it.
SELECT coalesce(obj_description(oid, 'pg_namespace') = 'dora-state: read models beside those that run', false)
FROM pg_namespace WHERE nspname = %(schema)s

-- Whether anything was ever made for a tenant; anyone may look.
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)

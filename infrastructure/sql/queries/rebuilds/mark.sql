-- By this comment a schema is known as one in which read models are rebuilt.
COMMENT ON SCHEMA {schema} IS 'dora-state: read models beside those that run'

ALTER SCHEMA {schema} RENAME TO {name}

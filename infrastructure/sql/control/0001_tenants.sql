-- The tenants of this database. Each has a schema of its own.
CREATE TABLE tenants (
    name       text PRIMARY KEY,
    schema     text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT ON tenants TO dora_state_writer, dora_state_projector;

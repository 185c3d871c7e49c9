CREATE SCHEMA IF NOT EXISTS {schema};
GRANT USAGE ON SCHEMA {schema} TO dora_state_writer, dora_state_projector;

-- What has been run here. `functions` tells which set of functions and views: the latest row is in force. `works_beside` is
-- the oldest last migration of the releases that can work with this one; null: only those that have it themselves.
CREATE TABLE IF NOT EXISTS {schema}.migrations (
    name       text PRIMARY KEY,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE {schema}.migrations ADD COLUMN IF NOT EXISTS works_beside text;
GRANT SELECT ON {schema}.migrations TO dora_state_writer, dora_state_projector;

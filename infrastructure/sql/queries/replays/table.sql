-- What these read models are: of which tenant, as of where in its log, and whether they are complete. By this table a schema
-- is known as one that a replay made.
CREATE TABLE replay (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    tenant         text NOT NULL,
    until_position bigint NOT NULL,
    until_at       timestamptz NOT NULL,
    begun_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at    timestamptz
);

GRANT SELECT, UPDATE (finished_at) ON replay TO dora_state_projector

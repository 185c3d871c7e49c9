-- Who may: the keys of each tenant. Of a secret only its digest is kept. A key ends at `expires_at` or when it is revoked; its
-- row stays, as what was done with it names it. `created_by` and `revoked_by` are people with their login to this database.
CREATE TABLE api_keys (
    id            text COLLATE "C" PRIMARY KEY,
    secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
    tenant        text NOT NULL,
    name          text NOT NULL,
    role          text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text NOT NULL,
    expires_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    revoked_by    text,
    last_used_at  timestamptz
);

CREATE INDEX api_keys_of_tenant ON api_keys (tenant, created_at);

-- Whoever serves finds keys, and notes that they are used; it makes none and mends none.
GRANT SELECT, UPDATE (last_used_at) ON api_keys TO dora_state_writer;

-- Who looked at what of the past. It is recorded before anything is shown; `rows` is null where nobody knew then how much it
-- would be, and `reading_ends` tells it later: of a reading without an end, as much as there was may have been seen.
CREATE TABLE readings (
    number     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id         uuid PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    login      text NOT NULL DEFAULT session_user,
    tenant     text NOT NULL,
    actor      text NOT NULL,
    role       text NOT NULL,
    credential text,
    what       text NOT NULL,
    about      text NOT NULL,
    cut        jsonb NOT NULL,
    rows       bigint
);

CREATE INDEX readings_of_tenant ON readings (tenant, at, number);
CREATE INDEX readings_of_actor ON readings (tenant, actor, at, number);

CREATE TABLE reading_ends (
    id   uuid PRIMARY KEY REFERENCES readings,
    at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows bigint NOT NULL
);

-- Whoever serves adds to the record and can't even read it; when it was, and by which login, the database says itself.
GRANT INSERT (id, tenant, actor, role, credential, what, about, cut, rows) ON readings TO dora_state_writer;
GRANT INSERT (id, rows) ON reading_ends TO dora_state_writer;

-- What is recorded stays as it is, for its owner too.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'DS006',
        MESSAGE = format('the record of reading is never changed: %s on %s is refused', TG_OP, TG_TABLE_NAME),
        DETAIL = jsonb_build_object('operation', TG_OP, 'table', TG_TABLE_NAME);
END $$;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON readings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE readings ENABLE ALWAYS TRIGGER refuse_change;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON reading_ends
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE reading_ends ENABLE ALWAYS TRIGGER refuse_change;

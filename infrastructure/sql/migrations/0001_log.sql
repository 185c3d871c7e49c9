-- The log of one tenant: streams, events by month, months, commands, mode.

-- One row a stream: when it began, the newest month (starts_at) in which it has events, and its version when that month
-- began for it. Its version now is that of its last event in that month (stream_versions): so a row changes
-- once a month and not with each append, and a stream that is written all the time leaves no dead rows behind, however
-- long somebody holds a snapshot open. Times and months bound every read, so that PostgreSQL prunes.
CREATE TABLE streams (
    stream_id         text COLLATE "C" PRIMARY KEY,  -- append sees to its form
    first_recorded_at timestamptz NOT NULL,
    month             timestamptz NOT NULL,
    version           bigint NOT NULL
) WITH (fillfactor = 90);

-- The events. `data` and `metadata` are the exact JSON bytes, for ever. `following` counts the events of
-- the same command that come after it: 0 ends the command. Keys are on each partition (make_month).
CREATE TABLE events (
    position       bigint NOT NULL,
    recorded_at    timestamptz NOT NULL,
    version        bigint NOT NULL,
    event_id       uuid NOT NULL,
    schema_version integer NOT NULL,
    following      integer NOT NULL,
    stream_id      text COLLATE "C" NOT NULL,
    type           text NOT NULL,
    data           bytea NOT NULL,
    metadata       bytea NOT NULL
) PARTITION BY RANGE (recorded_at);

-- One row a partition. The first position and time are set by the append that opens the month, the last
-- ones by the append that opens the next month, or when the month is archived: so the only open month is
-- the newest that holds events, and the row is no hot one.
CREATE TABLE months (
    starts_at         timestamptz PRIMARY KEY,
    ends_at           timestamptz NOT NULL CHECK (ends_at > starts_at),
    partition         text NOT NULL UNIQUE,
    state             text NOT NULL DEFAULT 'attached' CHECK (state IN ('attached', 'archived')),
    first_position    bigint,
    last_position     bigint,
    first_recorded_at timestamptz,
    last_recorded_at  timestamptz,
    CHECK (state = 'attached' OR last_position IS NOT NULL)
);

CREATE INDEX months_first_position ON months (first_position);

-- One row a command id, with what it answered. Positions are null where it gave no events.
CREATE TABLE commands (
    command_id     uuid PRIMARY KEY,
    answer         bytea NOT NULL,
    recorded_at    timestamptz NOT NULL,
    first_position bigint,
    last_position  bigint
);

-- One row. No import id: the tenant is live. An import id: only that import may append.
-- `clock_bound`: an append is refused when the last recorded time is further ahead of the clock than this.
CREATE TABLE mode (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    import_id   uuid,
    clock_bound interval NOT NULL DEFAULT interval '60 seconds'
);

INSERT INTO mode DEFAULT VALUES;

-- What is recorded stays as it is, for everyone. ALWAYS: not even a session of a replica skips it.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'DS006',
        MESSAGE = format('events are never changed: %s on %s is refused', TG_OP, TG_TABLE_NAME),
        DETAIL = jsonb_build_object('operation', TG_OP, 'table', TG_TABLE_NAME);
END $$;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE events ENABLE ALWAYS TRIGGER refuse_change;

GRANT SELECT ON streams, events, months, commands, mode TO dora_state_writer, dora_state_projector;

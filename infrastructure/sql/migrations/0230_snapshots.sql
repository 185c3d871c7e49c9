-- States of aggregates at versions of their streams, so that a fold need not begin at the first event. Disposable: all of them may
-- be deleted, and answers stay the same.

-- One row a stream, version and stamp: the shape of the state and the version of the fold that made it. `position`, `following` and
-- `recorded_at` are those of the event at `version`, `whole_position` is where its command ends. `digest` tells a row that was
-- spoiled.
CREATE TABLE snapshots (
    stream_id      text COLLATE "C" NOT NULL,
    schema         text COLLATE "C" NOT NULL,
    fold_version   integer NOT NULL,
    version        bigint NOT NULL,
    position       bigint NOT NULL,
    following      integer NOT NULL,
    recorded_at    timestamptz NOT NULL,
    whole_position bigint GENERATED ALWAYS AS (position + following) STORED,
    digest         bytea NOT NULL,
    state          bytea NOT NULL,
    PRIMARY KEY (stream_id, schema, fold_version, version)
);

-- The nearest one below a time, and below a position: both rise with the version.
CREATE INDEX snapshots_by_time ON snapshots (stream_id, schema, fold_version, recorded_at, version);
CREATE INDEX snapshots_by_position ON snapshots (stream_id, schema, fold_version, whole_position, version);

GRANT SELECT ON snapshots TO dora_state_writer;
GRANT SELECT, INSERT, DELETE ON snapshots TO dora_state_projector;

-- What an application of the eventsourcing library keeps beside its events.

-- Snapshots, and whatever else is not the application's events: any version of any stream, once each. They are
-- disposable: without them aggregates are folded from their events.
CREATE TABLE library_snapshots (
    purpose   text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    version   bigint NOT NULL,
    topic     text NOT NULL,
    state     bytea NOT NULL,
    PRIMARY KEY (purpose, stream_id, version)
);

-- How far another application's notifications have been processed; one row an application, which only rises.
-- fillfactor: it changes with each event that is processed, on the same page.
CREATE TABLE library_tracking (
    application_name text COLLATE "C" PRIMARY KEY,
    notification_id  bigint NOT NULL
) WITH (fillfactor = 50);

GRANT SELECT, INSERT ON library_snapshots TO dora_state_writer;
GRANT SELECT, INSERT, UPDATE (notification_id) ON library_tracking TO dora_state_writer;

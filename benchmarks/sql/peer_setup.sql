-- What the peer inserts into: one row an event, with the keys and the bytes that an event has at the least.
CREATE TABLE IF NOT EXISTS peer (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id text NOT NULL,
    version bigint NOT NULL,
    data bytea NOT NULL,
    metadata bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
)

-- Pessimistic locks: who has a stream to itself, and under which fencing token. Rows of those who are gone stay until the next
-- one takes the lock; live_locks tells which count. `pid` is of the session that holds the advisory lock beside it.
CREATE SEQUENCE lock_tokens;

CREATE TABLE locks (
    stream_id     text COLLATE "C" PRIMARY KEY,
    token         bigint NOT NULL UNIQUE,
    holder        text NOT NULL,
    pid           integer NOT NULL,
    session_start timestamptz,
    taken_at      timestamptz NOT NULL,
    held_until    timestamptz NOT NULL
);

GRANT SELECT ON locks TO dora_state_writer, dora_state_projector;

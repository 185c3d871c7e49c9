-- Who waits for a lock waits in a table, and not in a session or a transaction of its own. Each process has a place: one session,
-- by whose advisory lock its end is seen at once, and a time until which it was heard of. Whatever it holds and waits for goes
-- with it; a place that is gone never comes back.
CREATE TABLE lock_places (
    place      bigint PRIMARY KEY,
    process    text NOT NULL,
    pid        integer NOT NULL,
    seen_until timestamptz NOT NULL
);

-- `ticket` is the order in which they came. `holds` are the tokens of locks that whoever waits has already, `party` a name by
-- which more of them may be found: by both, those who wait for each other are. `hold_seconds`: see locks.
CREATE TABLE lock_waiters (
    id           uuid PRIMARY KEY,
    ticket       bigint GENERATED ALWAYS AS IDENTITY,
    stream_id    text COLLATE "C" NOT NULL,
    place        bigint NOT NULL REFERENCES lock_places ON DELETE CASCADE,
    holder       text NOT NULL,
    owner        text,
    party        text,
    holds        bigint[] NOT NULL,
    hold_seconds double precision,
    since        timestamptz NOT NULL
);

CREATE INDEX lock_waiters_by_stream ON lock_waiters (stream_id, ticket);
CREATE INDEX lock_waiters_by_place ON lock_waiters (place);

-- `owner` alone may use the token; null: nobody from outside. A lock with `hold_seconds` ends at `held_until`, unless its owner says
-- before that he is still there.
DELETE FROM locks;
ALTER TABLE locks
    DROP COLUMN pid,
    DROP COLUMN session_start,
    ADD COLUMN id uuid NOT NULL UNIQUE,
    ADD COLUMN place bigint NOT NULL REFERENCES lock_places ON DELETE CASCADE,
    ADD COLUMN owner text,
    ADD COLUMN party text,
    ADD COLUMN hold_seconds double precision;

CREATE INDEX locks_by_place ON locks (place);

GRANT SELECT ON lock_places, lock_waiters TO dora_state_writer, dora_state_projector;

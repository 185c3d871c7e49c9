-- Who asked for what: one row a command that changed something, so that a person's or an agent's doings are a list.

-- `position` is that of the command's last event, `first_position` that of its first. `occurred_at` is when it happened, as its
-- caller said, else null. Commands that were refused changed nothing and are not here.
CREATE TABLE actions (
    position       bigint PRIMARY KEY,
    first_position bigint NOT NULL,
    recorded_at    timestamptz NOT NULL,
    occurred_at    timestamptz,
    actor          text COLLATE "C" NOT NULL,
    command_type   text COLLATE "C" NOT NULL,
    command_id     text COLLATE "C",
    correlation_id text COLLATE "C",
    causation_id   text COLLATE "C",
    stream_ids     text[] COLLATE "C" NOT NULL,
    event_types    text[] NOT NULL
);

-- Descending, so that the last action of an actor is the first of its entries.
CREATE INDEX actions_by_actor ON actions (actor, position DESC);
CREATE INDEX actions_by_type ON actions (actor, command_type, position DESC);

GRANT SELECT ON actions TO dora_state_writer;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON actions TO dora_state_projector;

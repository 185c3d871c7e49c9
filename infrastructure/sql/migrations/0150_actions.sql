-- Who asked for what: one row a command that changed something, so that a person's or an agent's doings are a list. What it
-- changed is told by the log at its position.

-- `position` is that of the command's last event.
CREATE TABLE actions (
    position     bigint PRIMARY KEY,
    recorded_at  timestamptz NOT NULL,
    actor        text COLLATE "C" NOT NULL,
    command_type text COLLATE "C" NOT NULL
);

-- Descending, so that the last action of an actor is the first of its entries.
CREATE INDEX actions_by_actor ON actions (actor, position DESC);
CREATE INDEX actions_by_type ON actions (actor, command_type, position DESC);

GRANT SELECT ON actions TO dora_state_writer;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON actions TO dora_state_projector;

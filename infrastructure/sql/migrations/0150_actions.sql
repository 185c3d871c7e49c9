-- Who asked for what: one row a command that changed something, so that a person's or an agent's doings are a list. What it
-- changed is told by the log at its position.

-- `position` is that of the command's last event.
CREATE TABLE actions (
    position     bigint PRIMARY KEY,
    recorded_at  timestamptz NOT NULL,
    actor        text COLLATE "C" NOT NULL,
    command_type text COLLATE "C" NOT NULL
);

-- One index for all questions: of an actor there are few types, and what it did is merged from them. By the negative position:
-- so no planner takes the other index for a short way to the newest, which is a long one to a rare type.
CREATE INDEX actions_by_type ON actions (actor, command_type, (-position));

GRANT SELECT ON actions TO dora_state_writer;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON actions TO dora_state_projector;

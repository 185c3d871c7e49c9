-- An agent's last heartbeat, and its last sign of life of any kind: telemetry, overwritten, never older than it was.
CREATE TABLE presence (
    agent_id       text COLLATE "C" PRIMARY KEY,
    last_heartbeat timestamptz NOT NULL,
    last_seen      timestamptz NOT NULL,
    usage          json,
    queue_size     bigint
) WITH (fillfactor = 50);

GRANT SELECT ON presence TO dora_state_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON presence TO dora_state_projector;

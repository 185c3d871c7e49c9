-- How many bytes of each process were resident when: noted once a minute, kept for a day. Nothing depends on a row, and after
-- a crash of the server the next minutes tell anew. So it is unlogged.
CREATE UNLOGGED TABLE process_memory (
    process        text COLLATE "C",
    at             timestamptz,
    resident_bytes bigint NOT NULL,
    PRIMARY KEY (process, at)
);

GRANT SELECT, INSERT, DELETE ON process_memory TO dora_state_projector;

-- Commands that processes leave for the one whose turn it is to write; that one decides them like its own, and their answers
-- are found by their ids. Nothing depends on a row: whoever gets no answer decides by itself. So it is unlogged.
CREATE UNLOGGED TABLE asked (
    place      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    submission bytea NOT NULL
);

GRANT SELECT, INSERT, DELETE ON asked TO dora_state_writer;

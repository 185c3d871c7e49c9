-- What is done once an interval, however many workers there are. A worker claims a job's next slot when it is due, at the
-- database's clock; whoever is reached by the broker first begins it. Slots are numbers, so that no clock decides whether one
-- was begun. `every` is the interval of whoever claimed last.
CREATE TABLE schedules (
    job        text COLLATE "C" PRIMARY KEY,
    every      interval NOT NULL,
    slot       bigint NOT NULL,
    claimed_at timestamptz NOT NULL,
    claimed_by text NOT NULL,
    begun_slot bigint NOT NULL DEFAULT 0,
    begun_at   timestamptz,
    begun_by   text
) WITH (fillfactor = 50);

-- Where a projection has halted, for health to tell. It holds while the checkpoint is as it was: whoever comes past it need not
-- know of the row.
CREATE TABLE halts (
    projection text COLLATE "C" PRIMARY KEY,
    position   bigint NOT NULL,
    version    integer NOT NULL,
    generation integer NOT NULL,
    reason     text NOT NULL,
    since      timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE ON schedules, halts TO dora_state_projector;

-- The read models of one tenant: documents with what they are found by, ended attempts, counts, checkpoint.

-- A document is of type json, not jsonb: its keys stay in their order and its text stays as it was rendered,
-- so that a document read is byte for byte the one written; it is cheaper to write, and nothing searches in
-- it (what is searched for is a column). People with SQL write `document::jsonb` where they want operators.
-- fillfactor: a document changes often, and room on its page keeps its next version near.
-- Lists walk an index for each state and priority that is asked for (docs/read-models.md): hence their first columns.

CREATE TABLE workflows (
    id                   text COLLATE "C" PRIMARY KEY,
    position             bigint NOT NULL,
    state                text NOT NULL,
    definition_id        text COLLATE "C" NOT NULL,
    definition_version   text COLLATE "C" NOT NULL,
    priority             text NOT NULL,
    created_at           timestamptz NOT NULL,
    started_at           timestamptz,
    limited_from         timestamptz,
    updated_at           timestamptz NOT NULL,
    ended_at             timestamptz,
    scheduled_completion timestamptz,
    document             json NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX workflows_by_creation ON workflows (state, priority, created_at, id);
CREATE INDEX workflows_by_change ON workflows (state, priority, updated_at, id);
CREATE INDEX workflows_by_end ON workflows (state, priority, ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX workflows_by_plan ON workflows (state, priority, scheduled_completion, id) WHERE scheduled_completion IS NOT NULL;
CREATE INDEX workflows_of_definition ON workflows (definition_id, state, priority, created_at, id);
CREATE INDEX workflows_active ON workflows (limited_from) WHERE state IN ('running', 'paused');
CREATE INDEX workflows_completed ON workflows (ended_at) WHERE state = 'completed';

CREATE TABLE tasks (
    id            text COLLATE "C" PRIMARY KEY,
    position      bigint NOT NULL,
    state         text NOT NULL,
    workflow_id   text COLLATE "C" NOT NULL,
    definition_id text COLLATE "C" NOT NULL,
    agent_id      text COLLATE "C",
    priority      text NOT NULL,
    created_at    timestamptz NOT NULL,
    scheduled_at  timestamptz,
    started_at    timestamptz,
    updated_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    deadline      timestamptz,
    document      json NOT NULL
) WITH (fillfactor = 80);

-- Those of one agent, definition or workflow carry what else they are sorted and filtered by.
CREATE INDEX tasks_by_creation ON tasks (state, priority, created_at, id);
CREATE INDEX tasks_by_change ON tasks (state, priority, updated_at, id);
CREATE INDEX tasks_by_deadline ON tasks (deadline, id) WHERE state = 'running' AND deadline IS NOT NULL;
CREATE INDEX tasks_of_agent ON tasks (agent_id, state, priority, created_at, id) INCLUDE (updated_at, definition_id)
    WHERE agent_id IS NOT NULL;
CREATE INDEX tasks_of_definition ON tasks (definition_id, state, priority, created_at, id) INCLUDE (updated_at);
CREATE INDEX tasks_of_workflow ON tasks (workflow_id, state, priority, created_at, id);
CREATE INDEX tasks_completed ON tasks (ended_at) WHERE state = 'completed';

CREATE TABLE agents (
    id              text COLLATE "C" PRIMARY KEY,
    position        bigint NOT NULL,
    state           text NOT NULL,
    agent_type      text COLLATE "C" NOT NULL,
    node_id         text COLLATE "C",
    capabilities    text[] NOT NULL,
    current_tasks   integer NOT NULL,
    available_slots integer NOT NULL,
    registered_at   timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    document        json NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX agents_by_state ON agents (state, id);
CREATE INDEX agents_by_type ON agents (agent_type, id);

-- Totals and what is allocated in cores and bytes, exact. next_expiry: when the first reservation expires.
CREATE TABLE pools (
    id                text COLLATE "C" PRIMARY KEY,
    position          bigint NOT NULL,
    state             text NOT NULL,
    next_expiry       timestamptz,
    cpu_total         numeric NOT NULL,
    cpu_allocated     numeric NOT NULL,
    memory_total      numeric NOT NULL,
    memory_allocated  numeric NOT NULL,
    storage_total     numeric NOT NULL,
    storage_allocated numeric NOT NULL,
    document          json NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX pools_expiring ON pools (next_expiry) WHERE next_expiry IS NOT NULL;

-- The active reservations of all pools. expires_at: infinity for one that never does.
CREATE TABLE reservations (
    pool_id    text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    task_id    text COLLATE "C",
    agent_id   text COLLATE "C",
    resources  json NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (pool_id, id)
);

CREATE INDEX reservations_expiring ON reservations (expires_at, pool_id, id);
CREATE INDEX reservations_of_agent ON reservations (agent_id, expires_at, pool_id, id) WHERE agent_id IS NOT NULL;
CREATE INDEX reservations_of_task ON reservations (task_id) WHERE task_id IS NOT NULL;

CREATE TABLE systems (
    id       text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    state    text NOT NULL,
    document json NOT NULL
) WITH (fillfactor = 50);

-- One row an attempt that ended. duration and response_time in seconds, null where they were not measured.
CREATE TABLE attempts (
    position      bigint PRIMARY KEY,
    at            timestamptz NOT NULL,
    task_id       text COLLATE "C" NOT NULL,
    workflow_id   text COLLATE "C" NOT NULL,
    agent_id      text COLLATE "C",
    outcome       text NOT NULL CHECK (outcome IN ('completed', 'failed', 'timed_out', 'cancelled')),
    duration      double precision,
    response_time double precision
);

CREATE INDEX attempts_recent ON attempts (at) INCLUDE (outcome, response_time);
CREATE INDEX attempts_by_task ON attempts (task_id);
CREATE INDEX attempts_by_agent ON attempts (agent_id, at);

-- One row a workflow that was completed, for rates of any day.
CREATE TABLE completions (
    position    bigint PRIMARY KEY,
    at          timestamptz NOT NULL,
    workflow_id text COLLATE "C" NOT NULL
);

CREATE INDEX completions_recent ON completions (at);

-- How many documents there are, by kind and state.
CREATE TABLE counts (
    kind  text NOT NULL,
    state text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (kind, state)
) WITH (fillfactor = 50);

-- How many tasks there are of each agent ('' for none), definition, priority and workflow, by state.
CREATE TABLE task_facets (
    facet text COLLATE "C" NOT NULL CHECK (facet IN ('agent', 'definition', 'priority', 'workflow')),
    value text COLLATE "C" NOT NULL,
    state text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (facet, value, state)
) WITH (fillfactor = 50);

-- How many there are of each agent, definition, priority and state together.
CREATE TABLE task_cells (
    agent_id      text COLLATE "C" NOT NULL,
    definition_id text COLLATE "C" NOT NULL,
    priority      text NOT NULL,
    state         text NOT NULL,
    count         bigint NOT NULL,
    PRIMARY KEY (agent_id, definition_id, priority, state)
) WITH (fillfactor = 50);

CREATE INDEX task_cells_of_definition ON task_cells (definition_id);

-- What ended in each minute and in each quarter of an hour, of which the hours and days of every time zone are made.
-- Sums of times are in microseconds, so that they are exact; beside them stands how many they are of.
CREATE TABLE rates (
    grain          text NOT NULL CHECK (grain IN ('minute', 'quarter')),
    begin_at       timestamptz NOT NULL,
    completed      bigint NOT NULL,
    failed         bigint NOT NULL,
    timed_out      bigint NOT NULL,
    cancelled      bigint NOT NULL,
    responses      bigint NOT NULL,
    response_time  bigint NOT NULL,
    executions     bigint NOT NULL,
    execution_time bigint NOT NULL,
    workflows      bigint NOT NULL,
    PRIMARY KEY (grain, begin_at)
) WITH (fillfactor = 50);

-- What `counts` was at positions, now and then, so that what it was at any other need not be counted from the beginning.
CREATE TABLE kept_counts (
    position    bigint PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    counts      json NOT NULL
);

-- How far each projection is: the last position applied, always between two commands, and when it was recorded; the version of
-- the projection that applied it; and which tables these are, as a number that rises when rebuilt ones take their place.
CREATE TABLE checkpoints (
    name        text PRIMARY KEY,
    position    bigint NOT NULL,
    recorded_at timestamptz,
    version     integer NOT NULL DEFAULT 0,
    generation  integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Who runs each projection: in which term, until when unless it says that it is still there, by which session, and whether it
-- has the advisory lock too, which goes with the session. Apart from the checkpoints, so that nothing that is written holds it up.
CREATE TABLE leads (
    name          text PRIMARY KEY,
    term          bigint NOT NULL DEFAULT 0,
    held_until    timestamptz NOT NULL DEFAULT '-infinity',
    locked        boolean NOT NULL DEFAULT false,
    backend_pid   integer,
    backend_start timestamptz
) WITH (fillfactor = 50);

INSERT INTO checkpoints (name, position) VALUES ('states', 0), ('actions', 0);
INSERT INTO leads (name) VALUES ('states'), ('actions');

-- Events that their document could not take, and all that follow of the same stream.
CREATE TABLE dead_letters (
    position  bigint PRIMARY KEY,
    stream_id text COLLATE "C" NOT NULL,
    version   bigint NOT NULL,
    type      text NOT NULL,
    error     text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX dead_letters_by_stream ON dead_letters (stream_id, version);

GRANT SELECT
    ON workflows, tasks, agents, pools, reservations, systems, attempts, completions, counts, task_facets, task_cells, rates,
    kept_counts, checkpoints, leads, dead_letters
    TO dora_state_writer;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE
    ON workflows, tasks, agents, pools, reservations, systems, attempts, completions, counts, task_facets, task_cells, rates,
    kept_counts, checkpoints, leads, dead_letters
    TO dora_state_projector;

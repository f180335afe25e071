-- The read models: current truth, derived from the log, thrown away and derived again at will.
--
-- A workspace may have several generations of them: one is live, another may be in the making
-- beside it (a rebuild, a new version of the projector) and takes its place when it has caught up.
-- Rows and checkpoint of a generation commit together. Absent names are stored as ''.

CREATE TABLE projections (
    workspace_id     uuid  NOT NULL,
    generation       bigint   NOT NULL,
    version          bigint   NOT NULL,          -- of the projector that made it
    live             boolean  NOT NULL,          -- the one that reads are answered from
    position         bigint   NOT NULL,          -- events folded so far; the next position
    recorded_at      bigint   NOT NULL,          -- of the last event folded
    catalog_position bigint,                     -- of the catalog.published event in force
    blind            text  NOT NULL,          -- blind intervals so far: JSON [[from, to], ...]
    failure          text,                    -- why it is parked: an event that cannot be folded
    PRIMARY KEY (workspace_id, generation)
);
CREATE UNIQUE INDEX projections_live ON projections (workspace_id) WHERE live;

-- One row per run: its recorded truth (state), and what lists, counts and deadlines need of it.
CREATE TABLE runs (
    workspace_id    uuid  NOT NULL,
    generation      bigint   NOT NULL,
    run_id          uuid  NOT NULL,
    state           text  NOT NULL,           -- the fold of its stream, as JSON
    first_position  bigint   NOT NULL,           -- of its first event
    last_position   bigint   NOT NULL,           -- of its last one
    operation       text  NOT NULL,
    family          text  NOT NULL,           -- by the catalog in force
    environment     text  NOT NULL,
    subject         text  NOT NULL,           -- type/id
    subject_key     bytea,                     -- scope and subject, hashed; as in subjects
    connection      text  NOT NULL,
    queue           text  NOT NULL,
    status          smallint NOT NULL,           -- 0 queued, 1 running, 2 completed
    outcome         smallint NOT NULL,           -- the place of the outcome in DESIGN section 1, from 0
    reconciled      boolean  NOT NULL,           -- an adapter, and no signal, ended it
    dispatched_at   bigint   NOT NULL,           -- effective; the order of lists
    waiting_since   bigint   NOT NULL,           -- recorded_at of the dispatch that counts
    queue_window    bigint,                      -- microseconds, as dispatched
    settled_at      bigint,
    deadline        bigint,                      -- of an active run, blind time included
    abandon_at      bigint,                      -- when the lifecycle adapter is due
    success         boolean  NOT NULL,           -- succeeded and not contradicted: it may supersede
    open            boolean  NOT NULL,           -- its verdict depends on other runs or its subject
    key             bytea,                     -- what a superseding success must share, hashed
    superseded_by   uuid,                     -- the success that is named
    superseded_at   bigint,                      -- when that one was dispatched
    actionability   smallint NOT NULL,           -- the place of the verdict in Actionability, from 0
    reason          text,
    proof           text,                     -- JSON
    follow_up       boolean  NOT NULL,           -- actionable or requires_manual_review, nothing else
    item_key        bytea,                     -- of a follow-up: the thing to do that it belongs to
    search          text  NOT NULL,           -- in lower case, by line: what a search for text looks into
    PRIMARY KEY (workspace_id, generation, run_id)
);
-- Lists, newest first, each filter that is worth it with an index of its own.
CREATE INDEX runs_by_time ON runs (workspace_id, generation, dispatched_at, run_id);
CREATE INDEX runs_by_operation ON runs (workspace_id, generation, operation, dispatched_at, run_id);
CREATE INDEX runs_by_subject ON runs (workspace_id, generation, subject, dispatched_at, run_id) WHERE subject <> '';
CREATE INDEX runs_by_queue ON runs (workspace_id, generation, queue, dispatched_at, run_id) WHERE queue <> '';
CREATE INDEX runs_by_problem ON runs (workspace_id, generation, outcome, dispatched_at, run_id) WHERE outcome > 1;
CREATE INDEX runs_by_follow_up ON runs (workspace_id, generation, dispatched_at, run_id) WHERE follow_up;
CREATE INDEX runs_by_verdict ON runs (workspace_id, generation, actionability, dispatched_at, run_id) WHERE actionability > 1;
-- Freshness: what is active, by deadline; and what the reconciler must look at next.
CREATE INDEX runs_active ON runs (workspace_id, generation, dispatched_at, run_id, environment, deadline, status) WHERE status < 2;
CREATE INDEX runs_to_abandon ON runs (workspace_id, generation, abandon_at) WHERE abandon_at IS NOT NULL;
-- Queue truth: what waits, and all that a verdict asks of it.
CREATE INDEX runs_waiting ON runs (workspace_id, generation, connection, queue, waiting_since, deadline, queue_window) WHERE status = 0;
-- Actionability: the success that supersedes, and the problems that one may supersede.
CREATE INDEX runs_successes ON runs (workspace_id, generation, key, dispatched_at, first_position, run_id) WHERE success AND key IS NOT NULL;
CREATE INDEX runs_unsuperseded ON runs (workspace_id, generation, key) WHERE open AND superseded_by IS NULL AND key IS NOT NULL;
CREATE INDEX runs_superseded ON runs (workspace_id, generation, key, superseded_at) WHERE superseded_by IS NOT NULL;
CREATE INDEX runs_open_subjects ON runs (workspace_id, generation, subject_key) WHERE open AND superseded_by IS NULL AND subject_key IS NOT NULL;
CREATE INDEX runs_follow_ups ON runs (workspace_id, generation, item_key, settled_at, run_id) WHERE follow_up;

-- The latest observation of each subject in its scope: the greatest verified_at, of equals the last.
CREATE TABLE subjects (
    workspace_id uuid  NOT NULL,
    generation   bigint   NOT NULL,
    subject_key  bytea  NOT NULL,              -- environment, type and id, hashed
    environment  text  NOT NULL,
    subject      text  NOT NULL,              -- type/id
    state        text  NOT NULL,              -- healthy, unhealthy, absent
    verified_at  bigint   NOT NULL,              -- at most its recorded_at
    position     bigint   NOT NULL,              -- of its event
    PRIMARY KEY (workspace_id, generation, subject_key)
);

-- What each worker said last.
CREATE TABLE workers (
    workspace_id  uuid  NOT NULL,
    generation    bigint   NOT NULL,
    connection    text  NOT NULL,
    worker        text  NOT NULL,
    queues        text  NOT NULL,             -- JSON list of names
    seen_at       bigint   NOT NULL,             -- recorded_at of its last report
    lease_seconds bigint   NOT NULL,
    lease_until   bigint   NOT NULL,             -- blind time included; a stopped worker's is its stop
    stopped       boolean  NOT NULL,
    PRIMARY KEY (workspace_id, generation, connection, worker)
);
CREATE INDEX workers_by_lease ON workers (workspace_id, generation, lease_until);

-- Which queues each worker names now.
CREATE TABLE worker_queues (
    workspace_id uuid  NOT NULL,
    generation   bigint   NOT NULL,
    connection   text  NOT NULL,
    queue        text  NOT NULL,
    worker       text  NOT NULL,
    lease_until  bigint   NOT NULL,
    PRIMARY KEY (workspace_id, generation, connection, queue, worker)
);
CREATE INDEX worker_queues_live ON worker_queues (workspace_id, generation, connection, queue, lease_until);
CREATE INDEX worker_queues_worker ON worker_queues (workspace_id, generation, connection, worker);

-- Every queue that a run or a worker has named.
CREATE TABLE queues (
    workspace_id uuid  NOT NULL,
    generation   bigint   NOT NULL,
    connection   text  NOT NULL,
    queue        text  NOT NULL,
    ever_named   boolean  NOT NULL,              -- by some worker
    last_start   bigint,                         -- recorded_at of the last start of its runs
    waits        text  NOT NULL,              -- of the last 100 starts, microseconds: JSON list
    PRIMARY KEY (workspace_id, generation, connection, queue)
);

-- Things to do: follow-ups that share a key are one item with its occurrences.
CREATE TABLE follow_up_items (
    workspace_id     uuid  NOT NULL,
    generation       bigint   NOT NULL,
    item_key         bytea  NOT NULL,
    actionability    smallint NOT NULL,
    operation        text  NOT NULL,
    family           text  NOT NULL,
    environment      text  NOT NULL,
    subject          text  NOT NULL,
    occurrences      bigint   NOT NULL,
    first_settled_at bigint   NOT NULL,          -- the oldest of its runs that still asks
    last_settled_at  bigint   NOT NULL,          -- the latest
    latest_run_id    uuid  NOT NULL,
    PRIMARY KEY (workspace_id, generation, item_key)
);
CREATE INDEX follow_up_items_by_time ON follow_up_items (workspace_id, generation, last_settled_at, item_key);
CREATE INDEX follow_up_items_oldest ON follow_up_items (workspace_id, generation, environment, actionability, first_settled_at);
CREATE INDEX follow_up_items_by_verdict ON follow_up_items (workspace_id, generation, actionability, last_settled_at, item_key);

-- How many runs there are of each kind: what counts and the overview read, whatever the history.
CREATE TABLE run_counts (
    workspace_id  uuid  NOT NULL,
    generation    bigint   NOT NULL,
    environment   text  NOT NULL,
    operation     text  NOT NULL,
    family        text  NOT NULL,
    status        smallint NOT NULL,
    outcome       smallint NOT NULL,
    actionability smallint NOT NULL,
    runs          bigint   NOT NULL,
    PRIMARY KEY (workspace_id, generation, environment, operation, family, status, outcome, actionability)
);

-- The last outcomes of each operation in each environment.
CREATE TABLE operation_outcomes (
    workspace_id uuid  NOT NULL,
    generation   bigint   NOT NULL,
    operation    text  NOT NULL,
    environment  text  NOT NULL,
    recent       text  NOT NULL,              -- JSON list of the last ten, oldest first: [run_id, outcome, recorded_at]
    PRIMARY KEY (workspace_id, generation, operation, environment)
);

-- How many things to do there are, so that no count reads them all.
CREATE TABLE item_counts (
    workspace_id  uuid  NOT NULL,
    generation    bigint   NOT NULL,
    environment   text  NOT NULL,
    actionability smallint NOT NULL,
    items         bigint   NOT NULL,
    PRIMARY KEY (workspace_id, generation, environment, actionability)
);

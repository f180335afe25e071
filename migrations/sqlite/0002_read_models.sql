-- The read models: current truth, derived from the log, thrown away and derived again at will.
--
-- A workspace may have several generations of them: one is live, another may be in the making
-- beside it (a rebuild, a new version of the projector) and takes its place when it has caught up.
-- Rows and checkpoint of a generation commit together. Absent names are stored as ''.

CREATE TABLE projections (
    workspace_id     BLOB  NOT NULL,
    generation       INTEGER   NOT NULL,
    version          INTEGER   NOT NULL,          -- of the projector that made it
    live             INTEGER  NOT NULL,          -- the one that reads are answered from
    position         INTEGER   NOT NULL,          -- events folded so far; the next position
    recorded_at      INTEGER   NOT NULL,          -- of the last event folded
    catalog_position INTEGER,                     -- of the catalog.published event in force
    blind            TEXT  NOT NULL,          -- blind intervals so far: JSON [[from, to], ...]
    failure          TEXT,                    -- why it is parked: an event that cannot be folded
    PRIMARY KEY (workspace_id, generation)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX projections_live ON projections (workspace_id) WHERE live;

-- One row per run: its recorded truth (state), and what lists, counts and deadlines need of it.
CREATE TABLE runs (
    workspace_id    BLOB  NOT NULL,
    generation      INTEGER   NOT NULL,
    run_id          BLOB  NOT NULL,
    state           TEXT  NOT NULL,           -- the fold of its stream, as JSON
    first_position  INTEGER   NOT NULL,           -- of its first event
    last_position   INTEGER   NOT NULL,           -- of its last one
    operation       TEXT  NOT NULL,
    family          TEXT  NOT NULL,           -- by the catalog in force
    environment     TEXT  NOT NULL,
    subject         TEXT  NOT NULL,           -- type/id
    subject_key     BLOB,                     -- scope and subject, hashed; as in subjects
    connection      TEXT  NOT NULL,
    queue           TEXT  NOT NULL,
    status          INTEGER NOT NULL,           -- 0 queued, 1 running, 2 completed
    outcome         INTEGER NOT NULL,           -- the place of the outcome in DESIGN section 1, from 0
    reconciled      INTEGER  NOT NULL,           -- an adapter, and no signal, ended it
    dispatched_at   INTEGER   NOT NULL,           -- effective; the order of lists
    waiting_since   INTEGER   NOT NULL,           -- recorded_at of the dispatch that counts
    queue_window    INTEGER,                      -- microseconds, as dispatched
    settled_at      INTEGER,
    deadline        INTEGER,                      -- of an active run, blind time included
    abandon_at      INTEGER,                      -- when the lifecycle adapter is due
    success         INTEGER  NOT NULL,           -- succeeded and not contradicted: it may supersede
    open            INTEGER  NOT NULL,           -- its verdict depends on other runs or its subject
    key             BLOB,                     -- what a superseding success must share, hashed
    superseded_by   BLOB,                     -- the success that is named
    superseded_at   INTEGER,                      -- when that one was dispatched
    actionability   INTEGER NOT NULL,           -- the place of the verdict in Actionability, from 0
    reason          TEXT,
    proof           TEXT,                     -- JSON
    follow_up       INTEGER  NOT NULL,           -- actionable or requires_manual_review, nothing else
    item_key        BLOB,                     -- of a follow-up: the thing to do that it belongs to
    search          TEXT  NOT NULL,           -- in lower case, by line: what a search for text looks into
    PRIMARY KEY (workspace_id, generation, run_id)
) STRICT;
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
    workspace_id BLOB  NOT NULL,
    generation   INTEGER   NOT NULL,
    subject_key  BLOB  NOT NULL,              -- environment, type and id, hashed
    environment  TEXT  NOT NULL,
    subject      TEXT  NOT NULL,              -- type/id
    state        TEXT  NOT NULL,              -- healthy, unhealthy, absent
    verified_at  INTEGER   NOT NULL,              -- at most its recorded_at
    position     INTEGER   NOT NULL,              -- of its event
    PRIMARY KEY (workspace_id, generation, subject_key)
) STRICT, WITHOUT ROWID;

-- What each worker said last.
CREATE TABLE workers (
    workspace_id  BLOB  NOT NULL,
    generation    INTEGER   NOT NULL,
    connection    TEXT  NOT NULL,
    worker        TEXT  NOT NULL,
    queues        TEXT  NOT NULL,             -- JSON list of names
    seen_at       INTEGER   NOT NULL,             -- recorded_at of its last report
    lease_seconds INTEGER   NOT NULL,
    lease_until   INTEGER   NOT NULL,             -- blind time included; a stopped worker's is its stop
    stopped       INTEGER  NOT NULL,
    PRIMARY KEY (workspace_id, generation, connection, worker)
) STRICT, WITHOUT ROWID;
CREATE INDEX workers_by_lease ON workers (workspace_id, generation, lease_until);

-- Which queues each worker names now.
CREATE TABLE worker_queues (
    workspace_id BLOB  NOT NULL,
    generation   INTEGER   NOT NULL,
    connection   TEXT  NOT NULL,
    queue        TEXT  NOT NULL,
    worker       TEXT  NOT NULL,
    lease_until  INTEGER   NOT NULL,
    PRIMARY KEY (workspace_id, generation, connection, queue, worker)
) STRICT, WITHOUT ROWID;
CREATE INDEX worker_queues_live ON worker_queues (workspace_id, generation, connection, queue, lease_until);
CREATE INDEX worker_queues_worker ON worker_queues (workspace_id, generation, connection, worker);

-- Every queue that a run or a worker has named.
CREATE TABLE queues (
    workspace_id BLOB  NOT NULL,
    generation   INTEGER   NOT NULL,
    connection   TEXT  NOT NULL,
    queue        TEXT  NOT NULL,
    ever_named   INTEGER  NOT NULL,              -- by some worker
    last_start   INTEGER,                         -- recorded_at of the last start of its runs
    waits        TEXT  NOT NULL,              -- of the last 100 starts, microseconds: JSON list
    PRIMARY KEY (workspace_id, generation, connection, queue)
) STRICT, WITHOUT ROWID;

-- Things to do: follow-ups that share a key are one item with its occurrences.
CREATE TABLE follow_up_items (
    workspace_id     BLOB  NOT NULL,
    generation       INTEGER   NOT NULL,
    item_key         BLOB  NOT NULL,
    actionability    INTEGER NOT NULL,
    operation        TEXT  NOT NULL,
    family           TEXT  NOT NULL,
    environment      TEXT  NOT NULL,
    subject          TEXT  NOT NULL,
    occurrences      INTEGER   NOT NULL,
    first_settled_at INTEGER   NOT NULL,          -- the oldest of its runs that still asks
    last_settled_at  INTEGER   NOT NULL,          -- the latest
    latest_run_id    BLOB  NOT NULL,
    PRIMARY KEY (workspace_id, generation, item_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX follow_up_items_by_time ON follow_up_items (workspace_id, generation, last_settled_at, item_key);
CREATE INDEX follow_up_items_oldest ON follow_up_items (workspace_id, generation, environment, actionability, first_settled_at);
CREATE INDEX follow_up_items_by_verdict ON follow_up_items (workspace_id, generation, actionability, last_settled_at, item_key);

-- How many runs there are of each kind: what counts and the overview read, whatever the history.
CREATE TABLE run_counts (
    workspace_id  BLOB  NOT NULL,
    generation    INTEGER   NOT NULL,
    environment   TEXT  NOT NULL,
    operation     TEXT  NOT NULL,
    family        TEXT  NOT NULL,
    status        INTEGER NOT NULL,
    outcome       INTEGER NOT NULL,
    actionability INTEGER NOT NULL,
    runs          INTEGER   NOT NULL,
    PRIMARY KEY (workspace_id, generation, environment, operation, family, status, outcome, actionability)
) STRICT, WITHOUT ROWID;

-- The last outcomes of each operation in each environment.
CREATE TABLE operation_outcomes (
    workspace_id BLOB  NOT NULL,
    generation   INTEGER   NOT NULL,
    operation    TEXT  NOT NULL,
    environment  TEXT  NOT NULL,
    recent       TEXT  NOT NULL,              -- JSON list of the last ten, oldest first: [run_id, outcome, recorded_at]
    PRIMARY KEY (workspace_id, generation, operation, environment)
) STRICT, WITHOUT ROWID;

-- How many things to do there are, so that no count reads them all.
CREATE TABLE item_counts (
    workspace_id  BLOB  NOT NULL,
    generation    INTEGER   NOT NULL,
    environment   TEXT  NOT NULL,
    actionability INTEGER NOT NULL,
    items         INTEGER   NOT NULL,
    PRIMARY KEY (workspace_id, generation, environment, actionability)
) STRICT, WITHOUT ROWID;

-- What the reconciler keeps of its own. None of it is truth: it may be deleted at any time, and all
-- that is lost is time, because what is due follows from the runs themselves.

-- When which run is looked at next. There is none for a run that nothing can be proven of.
CREATE TABLE reconciler_wakes (
    workspace_id BLOB    NOT NULL,
    run_id       BLOB    NOT NULL,
    adapter      TEXT    NOT NULL,            -- the owner of its operation type
    due_at       INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,            -- looks in a row at which the source gave no answer
    looks        INTEGER NOT NULL,            -- looks in a row that proved nothing
    PRIMARY KEY (workspace_id, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX reconciler_wakes_due ON reconciler_wakes (workspace_id, due_at, run_id, adapter);
-- The backlog of a broken source.
CREATE INDEX reconciler_wakes_failing ON reconciler_wakes (workspace_id, adapter, due_at) WHERE attempt > 0;

-- How far the reconciler has come in each log, and in its rounds over what is active.
CREATE TABLE reconciler_cursors (
    workspace_id     BLOB    NOT NULL PRIMARY KEY,
    position         INTEGER NOT NULL,        -- events looked at so far; the next position
    watched          TEXT    NOT NULL,        -- the operation types whose events were looked at: JSON list
    swept_at         INTEGER NOT NULL,        -- when the last piece of a round was looked through
    sweep_dispatched INTEGER,                -- where the next piece begins, after this dispatch
    sweep_run        BLOB                    -- and this run; none at the beginning of a round
) STRICT, WITHOUT ROWID;

-- How the source of each adapter answered, and when.
CREATE TABLE adapter_health (
    workspace_id  BLOB    NOT NULL,
    adapter       TEXT    NOT NULL,
    last_success  INTEGER,                   -- when it last answered
    last_error    TEXT,                      -- the class of its last error, and nothing of what it said
    last_error_at INTEGER,
    failures      INTEGER NOT NULL,           -- pages in a row for which there was no answer at all
    PRIMARY KEY (workspace_id, adapter)
) STRICT, WITHOUT ROWID;

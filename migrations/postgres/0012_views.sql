-- Views for people who ask with SQL, and for Grafana: current truth and history under names that
-- stay (docs/sql-views.md). They read with the rights of whoever asks (security_invoker), so that
-- what a role may see of the tables is what it sees here. Times are timestamps; absent names are
-- NULL; words are those of the API.
CREATE FUNCTION runledger_v1_moment(micros bigint) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN timestamptz '1970-01-01 00:00:00+00' + micros * interval '1 microsecond';
CREATE FUNCTION runledger_v1_status(code smallint) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (ARRAY['queued', 'running', 'completed'])[code + 1];
CREATE FUNCTION runledger_v1_outcome(code smallint) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (ARRAY['pending', 'succeeded', 'partially_succeeded', 'blocked', 'failed', 'cancelled',
                  'unknown'])[code + 1];
CREATE FUNCTION runledger_v1_actionability(code smallint) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (ARRAY['not_terminal', 'informational_only', 'resolved_by_operator',
                  'requires_manual_review', 'resolved_by_current_state',
                  'superseded_by_later_success', 'actionable'])[code + 1];
-- DESIGN section 5. now() is the database's clock.
CREATE FUNCTION runledger_v1_freshness(status smallint, deadline bigint, reconciled boolean)
    RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE
        WHEN status = 2 THEN CASE WHEN reconciled THEN 'reconciled_terminal' ELSE 'terminal' END
        WHEN deadline IS NULL THEN 'unknown'
        WHEN runledger_v1_moment(deadline) > now()
            THEN CASE status WHEN 0 THEN 'fresh_queued' ELSE 'fresh_running' END
        ELSE CASE status WHEN 0 THEN 'stale_queued' ELSE 'stale_running' END
    END;

-- Each workspace, and how far its read models are.
CREATE VIEW runledger_v1_workspaces WITH (security_invoker = true) AS
SELECT w.workspace_id, w.name AS workspace, coalesce(h.size, 0) AS events,
       coalesce(h.size, 0) - coalesce(p.position, 0) AS lag_events,
       p.failure IS NOT NULL AS parked, runledger_v1_moment(h.last_recorded_at) AS last_recorded_at
FROM workspaces AS w
LEFT JOIN heads AS h ON h.workspace_id = w.workspace_id
LEFT JOIN projections AS p ON p.workspace_id = w.workspace_id AND p.live;

-- Each run: what is recorded of it, and what is true of it now.
CREATE VIEW runledger_v1_runs WITH (security_invoker = true) AS
SELECT r.workspace_id, w.name AS workspace, r.run_id, r.operation, r.family,
       nullif(r.environment, '') AS environment, nullif(r.subject, '') AS subject,
       nullif(r.connection, '') AS connection, nullif(r.queue, '') AS queue,
       runledger_v1_status(r.status) AS status, runledger_v1_outcome(r.outcome) AS outcome,
       runledger_v1_freshness(r.status, r.deadline, r.reconciled) AS freshness,
       runledger_v1_actionability(r.actionability) AS actionability, r.reason, r.follow_up,
       r.superseded_by, runledger_v1_moment(r.dispatched_at) AS dispatched_at,
       runledger_v1_moment(r.settled_at) AS settled_at,
       runledger_v1_moment(r.deadline) AS deadline, r.dispatched_at AS dispatched_micros
FROM runs AS r
JOIN projections AS p ON p.workspace_id = r.workspace_id AND p.generation = r.generation AND p.live
JOIN workspaces AS w ON w.workspace_id = r.workspace_id;

-- What needs a person: things to do, with how often each occurred.
CREATE VIEW runledger_v1_follow_ups WITH (security_invoker = true) AS
SELECT i.workspace_id, w.name AS workspace, i.operation, i.family,
       nullif(i.environment, '') AS environment, nullif(i.subject, '') AS subject,
       runledger_v1_actionability(i.actionability) AS actionability, i.occurrences,
       runledger_v1_moment(i.first_settled_at) AS first_settled_at,
       runledger_v1_moment(i.last_settled_at) AS last_settled_at, i.latest_run_id
FROM follow_up_items AS i
JOIN projections AS p ON p.workspace_id = i.workspace_id AND p.generation = i.generation AND p.live
JOIN workspaces AS w ON w.workspace_id = i.workspace_id;

-- How many runs there are of each kind, whatever the history.
CREATE VIEW runledger_v1_run_counts WITH (security_invoker = true) AS
SELECT c.workspace_id, w.name AS workspace, nullif(c.environment, '') AS environment,
       c.operation, c.family, runledger_v1_status(c.status) AS status,
       runledger_v1_outcome(c.outcome) AS outcome,
       runledger_v1_actionability(c.actionability) AS actionability,
       c.actionability IN (3, 6) AS follow_up, c.runs
FROM run_counts AS c
JOIN projections AS p ON p.workspace_id = c.workspace_id AND p.generation = c.generation AND p.live
JOIN workspaces AS w ON w.workspace_id = c.workspace_id
WHERE c.runs > 0;

-- Each queue: what waits in it, and who is there for it. The verdict is not here: it is a rule of
-- the program (DESIGN section 6), and the API gives it.
CREATE VIEW runledger_v1_queues WITH (security_invoker = true) AS
SELECT q.workspace_id, w.name AS workspace, nullif(q.connection, '') AS connection, q.queue,
       (SELECT count(*) FROM runs AS r
        WHERE r.workspace_id = q.workspace_id AND r.generation = q.generation
          AND r.connection = q.connection AND r.queue = q.queue AND r.status = 0) AS waiting,
       (SELECT runledger_v1_moment(min(r.waiting_since)) FROM runs AS r
        WHERE r.workspace_id = q.workspace_id AND r.generation = q.generation
          AND r.connection = q.connection AND r.queue = q.queue AND r.status = 0) AS oldest_waiting_since,
       (SELECT count(*) FROM worker_queues AS k
        WHERE k.workspace_id = q.workspace_id AND k.generation = q.generation
          AND k.connection = q.connection AND k.queue = q.queue
          AND runledger_v1_moment(k.lease_until) > now()) AS live_workers,
       runledger_v1_moment(q.last_start) AS last_start
FROM queues AS q
JOIN projections AS p ON p.workspace_id = q.workspace_id AND p.generation = q.generation AND p.live
JOIN workspaces AS w ON w.workspace_id = q.workspace_id;

-- What was signed of each log, and when.
CREATE VIEW runledger_v1_checkpoints WITH (security_invoker = true) AS
SELECT c.workspace_id, w.name AS workspace, c.size, encode(c.root, 'hex') AS root,
       runledger_v1_moment(c.signed_at) AS signed_at
FROM checkpoints AS c
JOIN workspaces AS w ON w.workspace_id = c.workspace_id;

-- Lists of runs that people gave a name: the filters of the page, as its URL has them. They say
-- nothing of any run.
CREATE TABLE saved_views (
    workspace_id uuid   NOT NULL,
    name         text   NOT NULL,
    query        text   NOT NULL,              -- of the page of runs, without a moment and a cursor
    saved_by     text   NOT NULL,
    saved_at     bigint NOT NULL,
    PRIMARY KEY (workspace_id, name)
);

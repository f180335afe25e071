-- The log: what was recorded, in order, for ever. Written by the ledger's appender and by nothing
-- else. The same tables as on PostgreSQL; ids and hashes are blobs.

-- The tenants by the name that stands in URLs. A directory: what was decided is in the log.
CREATE TABLE workspaces (
    workspace_id BLOB    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL            -- microseconds since the Unix epoch, UTC, as everywhere
) STRICT, WITHOUT ROWID;

-- One row per log. An append advances it by compare-and-set on size, which makes positions gapless
-- and their order the commit order.
CREATE TABLE heads (
    workspace_id     BLOB    NOT NULL PRIMARY KEY,
    size             INTEGER NOT NULL,       -- events in the log; the next position
    last_recorded_at INTEGER NOT NULL,       -- recorded_at never decreases within a log
    frontier         BLOB    NOT NULL        -- right edge of the RFC 6962 tree: one hash per set bit of size
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    workspace_id   BLOB    NOT NULL,
    position       INTEGER NOT NULL,         -- from 0, gapless; the leaf index in the tree
    aggregate_type INTEGER NOT NULL,         -- 1 run, 2 subject, 3 worker, 4 workspace
    aggregate_id   BLOB    NOT NULL,
    sequence       INTEGER NOT NULL,         -- place in the aggregate's stream, from 1
    event_type     INTEGER NOT NULL,         -- see EventType::number
    recorded_at    INTEGER NOT NULL,
    body           BLOB    NOT NULL,         -- the canonical bytes (RFC 8785): what is hashed and handed out
    leaf_hash      BLOB    NOT NULL,         -- SHA-256(0x00 || body)
    source         TEXT,                     -- with event_id: what makes a repeated report a duplicate
    event_id       TEXT,
    content_hash   BLOB,                     -- tells a repeated report from a reused id
    PRIMARY KEY (workspace_id, position)
) STRICT, WITHOUT ROWID;

-- The order of one stream, and the backstop of optimistic concurrency.
CREATE UNIQUE INDEX events_stream ON events (workspace_id, aggregate_type, aggregate_id, sequence);
-- Only events that carry an id remember one.
CREATE UNIQUE INDEX events_id ON events (workspace_id, source, event_id) WHERE event_id IS NOT NULL;
-- "As of this time" becomes "as of this position" by one look into this index.
CREATE INDEX events_recorded_at ON events (workspace_id, recorded_at, position);

-- History is refused to change by the database itself.
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are immutable: UPDATE is refused'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are immutable: DELETE is refused'); END;
-- INSERT OR REPLACE deletes without firing the trigger above, so what is taken is refused here.
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE workspace_id = NEW.workspace_id AND position = NEW.position)
  OR EXISTS (SELECT 1 FROM events WHERE workspace_id = NEW.workspace_id AND aggregate_type = NEW.aggregate_type
             AND aggregate_id = NEW.aggregate_id AND sequence = NEW.sequence)
  OR (NEW.event_id IS NOT NULL AND EXISTS (SELECT 1 FROM events WHERE workspace_id = NEW.workspace_id
             AND source = NEW.source AND event_id = NEW.event_id))
BEGIN SELECT RAISE(ABORT, 'events are immutable: the place of an event is taken'); END;

-- Which active run holds a key alone. Written in the transaction of the event that takes or frees it.
CREATE TABLE reservations (
    workspace_id BLOB NOT NULL,
    key          BLOB NOT NULL,              -- SHA-256 of mode, operation, environment and value
    run_id       BLOB NOT NULL,
    PRIMARY KEY (workspace_id, key)
) STRICT, WITHOUT ROWID;

-- Who does a piece of background work at the moment. One server at a time has the file, so the
-- table is here for the sake of one code on both databases.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY, -- such as "projector/<workspace>"
    holder     BLOB    NOT NULL,             -- the server process
    expires_at INTEGER NOT NULL              -- after this, anybody may take it over
) STRICT, WITHOUT ROWID;

-- When a server could last listen. Silence before that mark is silence; after it, it means nothing.
CREATE TABLE listening (
    id          INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    listened_at INTEGER NOT NULL
) STRICT;

-- The streams in the layout that cqrs-es tools expect. SQLite has no settings of a connection, so
-- the workspace is a column of the view, to be named in the query.
CREATE VIEW cqrs_events AS
SELECT workspace_id,
       CASE aggregate_type WHEN 1 THEN 'run' WHEN 2 THEN 'subject' WHEN 3 THEN 'worker' ELSE 'workspace' END AS aggregate_type,
       CAST(body AS TEXT) ->> 'aggregate_id' AS aggregate_id,
       sequence,
       CAST(body AS TEXT) ->> 'type' AS event_type,
       CAST(CAST(body AS TEXT) ->> 'schema' AS TEXT) AS event_version,
       CAST(body AS TEXT) AS payload,
       json_object(
           'position', CAST(position AS TEXT),
           'recorded_at', CAST(recorded_at AS TEXT),
           'leaf_hash', lower(hex(leaf_hash)),
           'source', coalesce(CAST(body AS TEXT) ->> 'source', '')
       ) AS metadata
FROM events;

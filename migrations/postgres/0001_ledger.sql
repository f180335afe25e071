-- The log: what was recorded, in order, for ever. Written by the ledger's appender and by nothing
-- else. Every key leads with workspace_id, the unit of isolation, of ordering and of scale-out.

-- The tenants by the name that stands in URLs. A directory: what was decided is in the log.
CREATE TABLE workspaces (
    workspace_id uuid   NOT NULL PRIMARY KEY,
    name         text   NOT NULL UNIQUE,
    created_at   bigint NOT NULL             -- microseconds since the Unix epoch, UTC, as everywhere
);

-- One row per log. An append advances it by compare-and-set on size, which makes positions gapless
-- and their order the commit order, with any number of servers.
CREATE TABLE heads (
    workspace_id     uuid   NOT NULL PRIMARY KEY,
    size             bigint NOT NULL,        -- events in the log; the next position
    last_recorded_at bigint NOT NULL,        -- recorded_at never decreases within a log
    frontier         bytea  NOT NULL         -- right edge of the RFC 6962 tree: one hash per set bit of size
);

CREATE TABLE events (
    workspace_id   uuid     NOT NULL,
    position       bigint   NOT NULL,        -- from 0, gapless; the leaf index in the tree
    aggregate_type smallint NOT NULL,        -- 1 run, 2 subject, 3 worker, 4 workspace
    aggregate_id   uuid     NOT NULL,
    sequence       bigint   NOT NULL,        -- place in the aggregate's stream, from 1
    event_type     smallint NOT NULL,        -- see EventType::number
    recorded_at    bigint   NOT NULL,
    body           bytea    NOT NULL,        -- the canonical bytes (RFC 8785): what is hashed and handed out
    leaf_hash      bytea    NOT NULL,        -- SHA-256(0x00 || body)
    source         text,                     -- with event_id: what makes a repeated report a duplicate
    event_id       text,
    content_hash   bytea,                    -- tells a repeated report from a reused id
    PRIMARY KEY (workspace_id, position)
);

-- The order of one stream, and the backstop of optimistic concurrency.
CREATE UNIQUE INDEX events_stream ON events (workspace_id, aggregate_type, aggregate_id, sequence);
-- Only events that carry an id remember one.
CREATE UNIQUE INDEX events_id ON events (workspace_id, source, event_id) WHERE event_id IS NOT NULL;
-- "As of this time" becomes "as of this position" by one look into this index.
CREATE INDEX events_recorded_at ON events (workspace_id, recorded_at, position);

-- History is refused to change by the database itself, whoever asks, replicas' replay included.
CREATE FUNCTION events_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are immutable: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER events_immutable_rows BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION events_are_immutable();
CREATE TRIGGER events_immutable_table BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_are_immutable();
ALTER TABLE events ENABLE ALWAYS TRIGGER events_immutable_rows;
ALTER TABLE events ENABLE ALWAYS TRIGGER events_immutable_table;

-- Which active run holds a key alone. Written in the transaction of the event that takes or frees it.
CREATE TABLE reservations (
    workspace_id uuid  NOT NULL,
    key          bytea NOT NULL,             -- SHA-256 of mode, operation, environment and value
    run_id       uuid  NOT NULL,
    PRIMARY KEY (workspace_id, key)
);

-- Who does a piece of background work at the moment, so that several servers share it.
CREATE TABLE leases (
    name       text   NOT NULL PRIMARY KEY,  -- such as "projector/<workspace>"
    holder     uuid   NOT NULL,              -- the server process
    expires_at bigint NOT NULL               -- after this, anybody may take it over
);

-- When a server could last listen. Silence before that mark is silence; after it, it means nothing.
CREATE TABLE listening (
    id          smallint NOT NULL PRIMARY KEY CHECK (id = 1),
    listened_at bigint   NOT NULL
);

-- The streams in the layout that cqrs-es tools expect, for one workspace at a time: the connection
-- says which with SET runledger.workspace (or options=-crunledger.workspace=... in its URL).
CREATE VIEW cqrs_events AS
SELECT CASE aggregate_type WHEN 1 THEN 'run' WHEN 2 THEN 'subject' WHEN 3 THEN 'worker' ELSE 'workspace' END AS aggregate_type,
       aggregate_id::text AS aggregate_id,
       sequence,
       convert_from(body, 'UTF8')::json ->> 'type' AS event_type,
       convert_from(body, 'UTF8')::json ->> 'schema' AS event_version,
       convert_from(body, 'UTF8')::json AS payload,
       json_build_object(
           'position', position::text,
           'recorded_at', recorded_at::text,
           'leaf_hash', encode(leaf_hash, 'hex'),
           'source', coalesce(convert_from(body, 'UTF8')::json ->> 'source', '')
       ) AS metadata
FROM events
WHERE workspace_id = current_setting('runledger.workspace')::uuid;

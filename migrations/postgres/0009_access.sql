-- Who may ask, and for what (specs/0018). These tables are asked before it is known which workspace is
-- meant: a token is found by its hash, and what it may do follows from that. No secret is in them,
-- only hashes. What an administrator changes here is recorded in the log of the workspace as well.

-- People, services and remote adapters. A person may have a role in several workspaces; a service or an
-- adapter belongs to one.
CREATE TABLE principals (
    principal_id uuid NOT NULL PRIMARY KEY,
    kind         text NOT NULL,              -- person, service, adapter
    workspace_id uuid,                       -- none of a person
    name         text NOT NULL,
    password     text,                       -- of a person: argon2id, as a PHC string
    created_at   bigint NOT NULL,
    removed_at   bigint
);
CREATE UNIQUE INDEX principals_people ON principals (name)
    WHERE workspace_id IS NULL AND removed_at IS NULL;
CREATE UNIQUE INDEX principals_here ON principals (workspace_id, name)
    WHERE workspace_id IS NOT NULL AND removed_at IS NULL;

-- What a principal may do in a workspace: one role, in the whole of it or in some environments.
CREATE TABLE role_grants (
    workspace_id uuid NOT NULL,
    principal_id uuid NOT NULL,
    role         text NOT NULL,              -- owner, admin, operator, reporter, adapter, auditor, viewer
    environments text,                       -- JSON list of names; none is the whole workspace
    granted_at   bigint NOT NULL,
    PRIMARY KEY (workspace_id, principal_id)
);
CREATE INDEX role_grants_of ON role_grants (principal_id);

-- The tokens of services and adapters, by the SHA-256 of the token.
CREATE TABLE tokens (
    hash         bytea NOT NULL PRIMARY KEY,
    token_id     uuid NOT NULL,              -- what people call it by
    principal_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    created_at   bigint NOT NULL,
    expires_at   bigint,                       -- not taken from then on; none is never
    last_used_at bigint,                       -- at most a minute behind
    revoked_at   bigint
);
CREATE UNIQUE INDEX tokens_by_id ON tokens (workspace_id, token_id);
CREATE INDEX tokens_of ON tokens (principal_id);

-- Browsers that are signed in, by the SHA-256 of what their cookie holds.
CREATE TABLE web_sessions (
    hash         bytea NOT NULL PRIMARY KEY,
    session_id   uuid NOT NULL,              -- what people call it by
    principal_id uuid,                       -- none is the administrator of the server
    form_token   text NOT NULL,              -- what forms of this session carry
    began_at     bigint NOT NULL,
    seen_at      bigint NOT NULL,              -- at most a minute behind
    device       text NOT NULL               -- what the browser calls itself
);
CREATE UNIQUE INDEX web_sessions_by_id ON web_sessions (session_id);
CREATE INDEX web_sessions_of ON web_sessions (principal_id);

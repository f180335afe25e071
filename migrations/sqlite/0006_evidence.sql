-- Evidence that the log was not changed: the hashes that proofs are made of, and what was signed.
-- The same tables as on PostgreSQL.

-- The tree between the leaf hashes (in events) and the frontier (in heads): the root of each
-- subtree of 256, 65536, ... leaves, written by the append that completes it. They can be derived
-- again from the leaf hashes. Level and index as in the tiles of C2SP tlog-tiles.
CREATE TABLE tile_hashes (
    workspace_id BLOB    NOT NULL,
    level        INTEGER NOT NULL,           -- from 1: a subtree of 256^level leaves
    place        INTEGER NOT NULL,           -- its place among those of its level, from 0
    hash         BLOB    NOT NULL,
    PRIMARY KEY (workspace_id, level, place)
) STRICT, WITHOUT ROWID;

-- Every checkpoint that was signed. That they were is also written in a file outside of the
-- database; here they are for those who ask.
CREATE TABLE checkpoints (
    workspace_id BLOB    NOT NULL,
    size         INTEGER NOT NULL,           -- events that it is about
    signed_at    INTEGER NOT NULL,           -- microseconds; not part of what is signed
    root         BLOB    NOT NULL,
    note         BLOB    NOT NULL,           -- the signed note, byte by byte
    PRIMARY KEY (workspace_id, size, signed_at)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are immutable: UPDATE is refused'); END;
CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are immutable: DELETE is refused'); END;
CREATE TRIGGER checkpoints_no_replace BEFORE INSERT ON checkpoints
WHEN EXISTS (SELECT 1 FROM checkpoints WHERE workspace_id = NEW.workspace_id
             AND size = NEW.size AND signed_at = NEW.signed_at)
BEGIN SELECT RAISE(ABORT, 'checkpoints are immutable: the place of one is taken'); END;

-- Evidence that the log was not changed: the hashes that proofs are made of, and what was signed.

-- The tree between the leaf hashes (in events) and the frontier (in heads): the root of each
-- subtree of 256, 65536, ... leaves, written by the append that completes it. They can be derived
-- again from the leaf hashes. Level and index as in the tiles of C2SP tlog-tiles.
CREATE TABLE tile_hashes (
    workspace_id uuid     NOT NULL,
    level        smallint NOT NULL,          -- from 1: a subtree of 256^level leaves
    place        bigint   NOT NULL,          -- its place among those of its level, from 0
    hash         bytea    NOT NULL,
    PRIMARY KEY (workspace_id, level, place)
);

-- Every checkpoint that was signed. That they were is also written in a file outside of the
-- database; here they are for those who ask.
CREATE TABLE checkpoints (
    workspace_id uuid   NOT NULL,
    size         bigint NOT NULL,            -- events that it is about
    signed_at    bigint NOT NULL,            -- microseconds; not part of what is signed
    root         bytea  NOT NULL,
    note         bytea  NOT NULL,            -- the signed note, byte by byte
    PRIMARY KEY (workspace_id, size, signed_at)
);

CREATE FUNCTION checkpoints_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'checkpoints are immutable: % is refused', TG_OP;
END $$;
CREATE TRIGGER checkpoints_no_change BEFORE UPDATE OR DELETE ON checkpoints
    FOR EACH ROW EXECUTE FUNCTION checkpoints_are_immutable();
CREATE TRIGGER checkpoints_no_truncate BEFORE TRUNCATE ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION checkpoints_are_immutable();
ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER checkpoints_no_change;
ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER checkpoints_no_truncate;

-- Subjects that an adapter looks at by itself, and when next. Like wakes these rows are no truth: which
-- subjects they are, the open problems say, and all of them may be deleted at any time.
CREATE TABLE observer_wakes (
    workspace_id BLOB    NOT NULL,
    subject_key  BLOB    NOT NULL,            -- environment, type and id, hashed; as in subjects
    adapter      TEXT    NOT NULL,
    environment  TEXT    NOT NULL,            -- empty for the workspace itself
    subject      TEXT    NOT NULL,            -- type/id
    due_at       INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,            -- looks in a row at which the source gave no answer
    PRIMARY KEY (workspace_id, subject_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX observer_wakes_due ON observer_wakes (workspace_id, adapter, due_at, subject_key);

-- How far the round over the open problems has come, which finds the subjects to look at.
CREATE TABLE observer_rounds (
    workspace_id BLOB    NOT NULL PRIMARY KEY,
    swept_at     INTEGER NOT NULL,            -- when the last piece was looked through
    after_key    BLOB                        -- where the next piece begins; none at the beginning
) STRICT, WITHOUT ROWID;

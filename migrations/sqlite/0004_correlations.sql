-- Which runs are known by an id of another system. A run claims each external id that it has, in its
-- environment; an id names the run that alone claims it. Written in the transaction of the events
-- that it follows from, and derivable from them: rows are those of the runs as they are.
CREATE TABLE correlations (
    workspace_id BLOB NOT NULL,
    key          BLOB NOT NULL,             -- SHA-256 of environment (or nothing), source, kind and id
    run_id       BLOB NOT NULL,
    PRIMARY KEY (workspace_id, key, run_id)
) STRICT, WITHOUT ROWID;

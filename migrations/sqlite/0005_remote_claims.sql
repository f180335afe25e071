-- Runs that a remote adapter has claimed to judge: at most one claim a run. A claim is over when its
-- lease ends, and another may then be made. Like wakes these rows are no truth: without them a run is
-- only judged twice, and the ledger records one decision.
CREATE TABLE remote_claims (
    workspace_id BLOB    NOT NULL,
    run_id       BLOB    NOT NULL,
    claim_id     BLOB    NOT NULL,
    adapter      TEXT    NOT NULL,
    events       INTEGER NOT NULL,           -- events of the run as it was claimed: what a decision expects
    wake_due_at  INTEGER NOT NULL,           -- the wake that it was claimed by
    claimed_at   INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, run_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX remote_claims_by_id ON remote_claims (workspace_id, claim_id);

-- Runs that a remote adapter has claimed to judge: at most one claim a run. A claim is over when its
-- lease ends, and another may then be made. Like wakes these rows are no truth: without them a run is
-- only judged twice, and the ledger records one decision.
CREATE TABLE remote_claims (
    workspace_id uuid   NOT NULL,
    run_id       uuid   NOT NULL,
    claim_id     uuid   NOT NULL,
    adapter      text   NOT NULL,
    events       bigint NOT NULL,            -- events of the run as it was claimed: what a decision expects
    wake_due_at  bigint NOT NULL,            -- the wake that it was claimed by
    claimed_at   bigint NOT NULL,
    leased_until bigint NOT NULL,
    PRIMARY KEY (workspace_id, run_id)
);
CREATE UNIQUE INDEX remote_claims_by_id ON remote_claims (workspace_id, claim_id);

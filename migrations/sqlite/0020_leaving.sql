-- When a run ended by the ledger's clock, and when it left the list of what needs a person: what closed
-- it was recorded then, or its own end, whichever came last. A run that is on the list, or never was,
-- has none.
ALTER TABLE runs ADD COLUMN ended_at INTEGER;
ALTER TABLE runs ADD COLUMN left_at INTEGER;
CREATE INDEX runs_by_leaving ON runs (workspace_id, generation, left_at, run_id) WHERE left_at IS NOT NULL;

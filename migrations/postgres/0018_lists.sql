-- Things to do in the order of the oldest run that still asks for a person: the oldest comes first,
-- of all of them and of one verdict.
CREATE INDEX follow_up_items_by_age ON follow_up_items (workspace_id, generation, first_settled_at, item_key);
CREATE INDEX follow_up_items_by_verdict_age ON follow_up_items (workspace_id, generation, actionability, first_settled_at, item_key);

-- Runs that an adapter ended, which are few: they are listed and counted here.
CREATE INDEX runs_reconciled ON runs (workspace_id, generation, dispatched_at, run_id) WHERE reconciled;

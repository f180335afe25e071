-- Runs by the last six bytes of their id, which are the twelve digits that pages show of it: so whoever
-- has copied them finds the run, however old it is.
CREATE INDEX runs_by_id_end ON runs (workspace_id, generation, substr(uuid_send(run_id), 11));

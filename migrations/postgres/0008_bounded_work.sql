-- How many active runs of an environment are past their deadline, or have none: counted here, while
-- all active ones are counted in run_counts. So the overview costs what is overdue, and not what is
-- active.
CREATE INDEX runs_deadlines ON runs (workspace_id, generation, environment, deadline, status) WHERE status < 2;

-- A catalog changes rows of all runs, some in each transaction. How far that has come, while it goes
-- on: JSON {catalog, open, after}. The catalog itself is folded with the last piece.
ALTER TABLE projections ADD COLUMN sweep text;

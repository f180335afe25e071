-- Checkpoints by their root, as `as_of=root:…` names one: a busy log has thousands of them a day.
CREATE INDEX checkpoints_by_root ON checkpoints (workspace_id, root, size, signed_at);

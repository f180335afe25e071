-- A log only grows, and its head with it: whoever appends may advance a head, and nobody may take one
-- back, or away, or put another in its place. What stands before the head is refused to change by 0001.
--
-- SQLite knows no roles: whoever can write the file can drop these triggers. A server looks at its
-- start whether they are there.
CREATE TRIGGER heads_only_grow BEFORE UPDATE ON heads
WHEN NEW.size < OLD.size OR NEW.workspace_id <> OLD.workspace_id
BEGIN SELECT RAISE(ABORT, 'logs only grow: UPDATE of a head is refused'); END;
CREATE TRIGGER heads_no_delete BEFORE DELETE ON heads
BEGIN SELECT RAISE(ABORT, 'logs only grow: DELETE of a head is refused'); END;
CREATE TRIGGER heads_no_replace BEFORE INSERT ON heads
WHEN EXISTS (SELECT 1 FROM heads WHERE workspace_id = NEW.workspace_id)
BEGIN SELECT RAISE(ABORT, 'logs only grow: the head of a log is there already'); END;

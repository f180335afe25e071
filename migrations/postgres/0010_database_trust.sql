-- A log only grows, and its head with it: whoever appends may advance a head, and nobody may take one
-- back, or away. What stands before the head is refused to change by 0001.
--
-- Who may do what with each table, and that each connection sees one workspace, is said in
-- `ledger/src/store/protection.rs`: it is put into force after the migrations, and again when it
-- changes.
CREATE FUNCTION logs_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'logs only grow: % of a head is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER heads_only_grow BEFORE UPDATE ON heads
    FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.workspace_id <> OLD.workspace_id)
    EXECUTE FUNCTION logs_only_grow();
CREATE TRIGGER heads_no_delete BEFORE DELETE ON heads
    FOR EACH ROW EXECUTE FUNCTION logs_only_grow();
CREATE TRIGGER heads_no_truncate BEFORE TRUNCATE ON heads
    FOR EACH STATEMENT EXECUTE FUNCTION logs_only_grow();
ALTER TABLE heads ENABLE ALWAYS TRIGGER heads_only_grow;
ALTER TABLE heads ENABLE ALWAYS TRIGGER heads_no_delete;
ALTER TABLE heads ENABLE ALWAYS TRIGGER heads_no_truncate;

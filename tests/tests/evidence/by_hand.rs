//! A database that somebody who rules it has changed by hand, beside the events: each change is told by
//! `verify database`, and where it was taken back, nothing is told any more.

use crate::{Audit, end};

/// What was done, what is said of it, and how it is taken back.
type Change = (&'static str, &'static str, &'static str);

/// On either database.
const RIGHTS: &[Change] = &[
    (
        "UPDATE tokens SET expires_at = expires_at + 1000000",
        "is taken until",
        "UPDATE tokens SET expires_at = expires_at - 1000000",
    ),
    (
        "UPDATE tokens SET token_id = workspace_id",
        "is taken, and the log does not say so",
        "UPDATE tokens SET token_id = principal_id",
    ),
    (
        "UPDATE role_grants SET role = 'owner'",
        "the service svc has the role owner, and the log does not say so",
        "UPDATE role_grants SET role = 'operator'",
    ),
    (
        "UPDATE role_grants SET environments = '[\"prod\"]'",
        "has the role operator in prod",
        "UPDATE role_grants SET environments = NULL",
    ),
    (
        "UPDATE principals SET name = 'anna'",
        "the service anna has the role operator",
        "UPDATE principals SET name = 'svc'",
    ),
    (
        "INSERT INTO tile_hashes SELECT workspace_id, 9, 0, hash FROM tile_hashes WHERE place = 0",
        "a hash stands at place 0 of level 9",
        "DELETE FROM tile_hashes WHERE level = 9",
    ),
];

const AROUND: &[Change] = &[
    (
        "CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "",
        "SELECT 1",
    ),
    (
        "CREATE TRIGGER aaa BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION evil()",
        "the trigger aaa stands at the table events, which no migration makes",
        "DROP TRIGGER aaa ON events",
    ),
    (
        "CREATE RULE gone AS ON INSERT TO runs DO INSTEAD NOTHING",
        "the rule gone stands at the table runs",
        "DROP RULE gone ON runs",
    ),
    (
        "CREATE POLICY hides ON events AS RESTRICTIVE USING (event_type <> 5)",
        "another policy opens them or hides rows",
        "DROP POLICY hides ON events",
    ),
    (
        "ALTER POLICY of_workspace ON runs USING (true OR \
         current_setting('runledger.workspace', true) IS NULL)",
        "does not keep workspaces apart in runs",
        "ALTER POLICY of_workspace ON runs \
         USING (workspace_id = NULLIF(current_setting('runledger.workspace', true), '')::uuid)",
    ),
    (
        "GRANT UPDATE (body), DELETE ON events TO runledger_app",
        "runledger_app may DELETE, UPDATE (body) the table events, which no setup gives",
        "REVOKE UPDATE (body), DELETE ON events FROM runledger_app",
    ),
    (
        "GRANT SELECT ON tokens TO PUBLIC",
        "everybody may SELECT the table tokens",
        "REVOKE SELECT ON tokens FROM PUBLIC",
    ),
    (
        "ALTER FUNCTION append_events SECURITY DEFINER",
        "the function append_events is not the one of this version",
        "ALTER FUNCTION append_events SECURITY INVOKER",
    ),
    (
        "CREATE FUNCTION last_sequences(of_workspace text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "the function last_sequences is not the one of this version, or there are several",
        "DROP FUNCTION last_sequences(text)",
    ),
    (
        "ALTER FUNCTION events_are_immutable SET search_path = evil",
        "the trigger events_immutable_rows of the table events is not the one",
        "ALTER FUNCTION events_are_immutable SET search_path = pg_catalog, pg_temp",
    ),
    (
        "DROP INDEX events_id",
        "nothing keeps events (workspace_id, source, event_id) WHERE (event_id IS NOT NULL) unique",
        "CREATE UNIQUE INDEX events_id ON events (workspace_id, source, event_id) \
         WHERE event_id IS NOT NULL",
    ),
    (
        "ALTER TABLE events ALTER leaf_hash DROP NOT NULL",
        "the columns events.leaf_hash may be empty",
        "ALTER TABLE events ALTER leaf_hash SET NOT NULL",
    ),
    (
        "ALTER TABLE events ALTER source SET DEFAULT 'evil'",
        "the columns events.source have a default, which no migration gives them",
        "ALTER TABLE events ALTER source DROP DEFAULT",
    ),
    (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica', \
         current_database()); END $$",
        "session_replication_role = replica for this database is set, so that triggers",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET session_replication_role', \
         current_database()); END $$",
    ),
    (
        "CREATE TABLE evil () INHERITS (events)",
        "the table events has or is a part of another table",
        "DROP TABLE evil",
    ),
    (
        "ALTER TABLE checkpoints OWNER TO postgres",
        "the tables and functions belong to several roles",
        "ALTER TABLE checkpoints OWNER TO runledger_owner",
    ),
];

impl Audit {
    /// With a token in its workspace.
    async fn with_a_token(self) -> Audit {
        let server = self.serve().await;
        std::fs::write(self.path("token"), &server.token).unwrap();
        let new = ["tokens", "new", "svc", "--role", "operator", "--reason", "a test", "--url"];
        let of = [server.url.as_str(), "--workspace", "main", "--token-file", "token"];
        let made = self.ask(&[&new[..], &of].concat()).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        end(server).await;
        self
    }

    /// As whoever rules the database does.
    async fn verified(&self) -> (String, Option<i32>) {
        let url = self.database.as_deref().map(runledger_tests::database::superuser);
        let verify = ["verify", "database", "--policy", "trust.policy"];
        match &url {
            Some(url) => self.says(&[&verify[..], &["--database-url", url]].concat()).await,
            None => self.says(&verify).await,
        }
    }

    async fn tell(&self, changes: &[Change]) {
        for (change, words, back) in changes {
            self.on_file(&[change]).await;
            let (said, code) = self.verified().await;
            let expected = if words.is_empty() { 0 } else { 1 };
            assert_eq!(code, Some(expected), "{change}: {said}");
            assert!(said.contains(words), "{change}: {said}");
            self.on_file(&[back]).await;
        }
        Audit::check(self.verified().await, 0, "main: intact");
    }
}

#[tokio::test]
async fn rights_that_the_log_gives_nobody_and_stray_hashes_are_told_on_sqlite() {
    let audit = Audit::new().await.with_a_token().await;
    audit.on_file(&["UPDATE tokens SET principal_id = principal_id"]).await;
    let token = "CREATE TABLE kept AS SELECT token_id FROM tokens";
    audit.on_file(&[token]).await;
    audit.tell(&with_the_token_back()).await;
    let other = "CREATE TRIGGER aaa AFTER INSERT ON events BEGIN SELECT 1; END";
    let told = "the trigger aaa stands at the table events, which no migration makes";
    audit.tell(&[(other, told, "DROP TRIGGER aaa")]).await;
    let back = "CREATE UNIQUE INDEX events_id ON events (workspace_id, source, event_id) \
         WHERE event_id IS NOT NULL";
    let told = "the index events_id of the table events is missing";
    audit.tell(&[("DROP INDEX events_id", told, back)]).await;
    gone(&audit).await;
}

#[tokio::test]
async fn what_is_put_around_the_tables_is_told_on_postgresql() {
    let database = runledger_tests::ledger_database().await;
    let audit = Audit::over(Some(database)).await.with_a_token().await;
    audit.on_file(&["CREATE TABLE kept AS SELECT token_id FROM tokens"]).await;
    audit.tell(&with_the_token_back()).await;
    audit.tell(AROUND).await;
    gone(&audit).await;
}

fn with_the_token_back() -> Vec<Change> {
    let back = "UPDATE tokens SET token_id = (SELECT token_id FROM kept)";
    let change = |(change, words, undo): &Change| match undo.contains("token_id =") {
        true => (*change, *words, back),
        false => (*change, *words, *undo),
    };
    RIGHTS.iter().map(change).collect()
}

/// What is not put back: to look at a database puts nothing right in it.
async fn gone(audit: &Audit) {
    audit.on_file(&["DELETE FROM tile_hashes"]).await;
    for _ in 0..2 {
        Audit::check(audit.verified().await, 1, "hash 0 of level 1 of the tree is missing");
    }
}

#[tokio::test]
async fn a_signature_of_a_checkpoint_that_was_altered_is_told_in_the_middle_as_well() {
    let audit = Audit::new().await.with_a_token().await;
    // The first one is followed by another. A character of its signature is another one.
    let alter = "UPDATE checkpoints SET note = CAST(substr(CAST(note AS TEXT), 1, \
         length(CAST(note AS TEXT)) - 21) || CASE substr(CAST(note AS TEXT), -21, 1) WHEN 'A' THEN 'B' \
         ELSE 'A' END || substr(CAST(note AS TEXT), -20) AS BLOB) \
         WHERE size = (SELECT min(size) FROM checkpoints)";
    audit.on_file(&["DROP TRIGGER checkpoints_no_update", alter]).await;
    let (said, code) = audit.verified().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("events is not what was signed: it is not what was signed"), "{said}");
}

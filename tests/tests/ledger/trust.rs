//! What a server does not begin on, on real databases; and what the service's role can do in them.

use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::protection::TABLES;
use runledger_ledger::store::trust::Danger;
use runledger_ledger::store::{Store, StoreError, StoreUrl, set_up};
use runledger_tests::database::{create_role, superuser};
use runledger_tests::{Cluster, Durability, ledger_database, test_database};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::bed::create_workspace;

async fn execute(url: &str, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))).await?;
    connection.close().await
}

/// What is found, as the service finds it; of the clusters of tests it is known that they do not
/// flush.
async fn found(url: &str) -> Vec<(Danger, String)> {
    let store = Store::open(&StoreUrl::Postgres(url.to_owned())).await.unwrap();
    let trust = store.trust().await.unwrap();
    store.close().await;
    let faults = trust.faults.into_iter().map(|fault| (fault.danger, fault.sentence));
    faults.filter(|(danger, _)| *danger != Danger::Durability).collect()
}

fn says(found: &[(Danger, String)], danger: Danger, words: &[&str]) -> bool {
    found
        .iter()
        .any(|(of, sentence)| *of == danger && words.iter().all(|word| sentence.contains(word)))
}

#[tokio::test]
async fn a_database_that_is_set_up_is_trusted_and_can_be_set_up_again() {
    let url = ledger_database().await;
    assert_eq!(found(&url).await, []);
    let again = set_up(&superuser(&url)).await.unwrap();
    assert!(again.guarded && again.made.is_empty(), "{again:?}");
    assert_eq!(found(&url).await, []);
    // The service works under its role.
    let store = Store::open(&StoreUrl::Postgres(url)).await.unwrap();
    let ledger = Ledger::new(store.clone(), Clock::system(), Entropy::system());
    let workspace = create_workspace(&ledger, "main").await;
    assert_eq!(store.head(workspace).await.unwrap().unwrap().size(), 2);
    assert_eq!(store.workspaces().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_ledger_that_ran_under_one_user_is_taken_over() {
    let admin = test_database().await;
    let store = Store::open(&StoreUrl::Postgres(admin.clone())).await.unwrap();
    let ledger = Ledger::new(store.clone(), Clock::system(), Entropy::system());
    create_workspace(&ledger, "main").await;
    store.close().await;
    let url = runledger_tests::database::prepare(&admin).await.unwrap();
    assert_eq!(found(&url).await, []);
    let store = Store::open(&StoreUrl::Postgres(url)).await.unwrap();
    assert!(store.workspace_by_name("main").await.unwrap().is_some());
}

#[tokio::test]
async fn a_service_that_may_not_migrate_says_what_to_do() {
    let admin = test_database().await;
    let role = create_role(&admin).await.unwrap();
    let error = Store::open(&StoreUrl::Postgres(role.url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unsafe(_)), "{error:?}");
    assert!(error.to_string().contains("runledger database setup"), "{error}");
    // An older version's tables.
    let url = ledger_database().await;
    execute(&superuser(&url), "DELETE FROM _sqlx_migrations WHERE version = 10").await.unwrap();
    let error = Store::open(&StoreUrl::Postgres(url)).await.unwrap_err().to_string();
    assert!(error.contains("migration 0010") && error.contains("database setup"), "{error}");
}

#[tokio::test]
async fn a_role_that_could_change_history_is_refused_and_named() {
    let admin = test_database().await;
    let superuser_alone = found(&admin).await;
    assert!(says(&superuser_alone, Danger::Role, &["is a superuser"]), "{superuser_alone:?}");

    let url = ledger_database().await;
    let admin = superuser(&url);
    let role = create_role(&url.replace("rl_service:rl_service@", "postgres@")).await.unwrap();
    let name = role.name.as_str();
    for (grant, revoke, words) in [
        ("BYPASSRLS", "NOBYPASSRLS", "bypasses row-level security"),
        ("CREATEROLE", "NOCREATEROLE", "may make roles"),
    ] {
        execute(&admin, &format!("GRANT runledger_app TO {name}; ALTER ROLE {name} {grant}"))
            .await
            .unwrap();
        let found = found(&role.url).await;
        assert!(says(&found, Danger::Role, &[name, words]), "{found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
        execute(&admin, &format!("ALTER ROLE {name} {revoke}")).await.unwrap();
    }
    for (grant, revoke, words) in [
        (
            format!("GRANT runledger_migrator TO {name}"),
            format!("REVOKE runledger_migrator FROM {name}"),
            "is a member of runledger_owner",
        ),
        (
            format!("GRANT UPDATE (body) ON events TO {name}"),
            format!("REVOKE UPDATE (body) ON events FROM {name}"),
            "rights that it must not have on events",
        ),
        (
            format!("GRANT TRUNCATE ON checkpoints TO {name}"),
            format!("REVOKE ALL ON checkpoints FROM {name}"),
            "rights that it must not have on checkpoints",
        ),
    ] {
        execute(&admin, &grant).await.unwrap();
        let there = found(&role.url).await;
        assert!(says(&there, Danger::Role, &[name, words]), "{there:?}");
        execute(&admin, &revoke).await.unwrap();
        assert_eq!(found(&role.url).await, []);
    }
    execute(&admin, "REVOKE INSERT ON events FROM runledger_app").await.unwrap();
    let there = found(&role.url).await;
    assert!(says(&there, Danger::Rights, &["events", "database setup"]), "{there:?}");
}

#[tokio::test]
async fn a_trigger_that_is_missing_asleep_or_another_is_named() {
    let url = ledger_database().await;
    let admin = superuser(&url);
    for (statement, words) in [
        ("ALTER TABLE events ENABLE TRIGGER events_immutable_rows", "does not fire always"),
        ("ALTER TABLE events DISABLE TRIGGER events_immutable_rows", "does not fire always"),
        ("DROP TRIGGER events_immutable_rows ON events", "is missing"),
        (
            "CREATE TRIGGER events_immutable_rows BEFORE UPDATE ON events FOR EACH ROW \
             EXECUTE FUNCTION events_are_immutable(); \
             ALTER TABLE events ENABLE ALWAYS TRIGGER events_immutable_rows",
            "is not the one",
        ),
    ] {
        execute(&admin, statement).await.unwrap();
        let found = found(&url).await;
        let named = ["events_immutable_rows", "table events", words];
        assert!(says(&found, Danger::Triggers, &named) && found.len() == 1, "{found:?}");
    }
    let nothing = "CREATE OR REPLACE FUNCTION checkpoints_are_immutable() RETURNS trigger \
         LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'";
    execute(&admin, nothing).await.unwrap();
    let found = found(&url).await;
    assert!(says(&found, Danger::Triggers, &["checkpoints_no_change", "not the one"]), "{found:?}");
}

/// A setting for this database, its danger and words of it.
const SET: &[(&str, &str, Danger, &str)] = &[
    ("session_replication_role", "replica", Danger::Triggers, "do not fire there"),
    ("search_path", "evil, public", Danger::Triggers, "can take the place of the ledger's"),
    ("search_path", "public, pg_catalog", Danger::Triggers, "can take the place of the ledger's"),
    ("row_security", "off", Danger::Rights, "is refused there altogether"),
    ("runledger.service", "on", Danger::RowSecurity, "sees rows there all the same"),
    ("default_transaction_read_only", "on", Danger::Standby, "nothing can be recorded"),
    ("synchronous_commit", "off", Danger::Durability, "could be lost"),
    ("zero_damaged_pages", "on", Danger::Durability, "is emptied where it is read"),
];

#[tokio::test]
async fn a_setting_of_a_role_or_of_the_database_is_told_with_how_it_is_taken_back() {
    let url = ledger_database().await;
    let admin = superuser(&url);
    let role = create_role(&url.replace("rl_service:rl_service@", "postgres@")).await.unwrap().name;
    execute(&admin, &format!("GRANT runledger_app TO {role}; CREATE SCHEMA evil")).await.unwrap();
    let database = url.rsplit('/').next().unwrap().to_owned();
    let elsewhere = format!("{}/postgres", admin.rsplit_once('/').unwrap().0);
    let trust = async || {
        let store = Store::open(&StoreUrl::Postgres(url.clone())).await.unwrap();
        let trust = store.trust().await.unwrap();
        store.close().await;
        trust
    };
    for whom in [format!("ROLE {role} IN DATABASE {database}"), format!("DATABASE {database}")] {
        for (name, value, danger, words) in SET {
            // For everybody, it may be for another application; where it leads the service is below.
            if *value == "evil, public" && whom.starts_with("DATABASE") {
                continue;
            }
            let set = format!("ALTER {whom} SET {name} = {value}");
            execute(&admin, &set).await.unwrap();
            let undo = format!("ALTER {whom} RESET {name}");
            let faults = trust().await.faults;
            let in_force = matches!(danger, Danger::Durability | Danger::Standby | Danger::Rights);
            let told = match in_force && whom.starts_with("DATABASE") {
                // What is in force is told as that; the ledger's own connections may say otherwise.
                true => faults.iter().find(|fault| fault.sentence.contains(name)),
                false => faults.iter().find(|fault| fault.sentence.ends_with(&undo)),
            };
            let told = told.unwrap_or_else(|| panic!("{set}: {faults:?}"));
            assert_eq!(told.danger, *danger, "{}", told.sentence);
            let words = if told.sentence.ends_with(&undo) { words } else { "" };
            assert!(told.sentence.contains(words), "{}", told.sentence);
            // From another database: one that is read-only lets nobody say otherwise.
            execute(&elsewhere, &undo).await.unwrap();
        }
    }
    assert_eq!(found(&url).await, []);
    // A schema that it may not use does not lead it anywhere.
    let set = format!(
        "GRANT USAGE ON SCHEMA evil TO PUBLIC; ALTER DATABASE {database} SET search_path = evil, public"
    );
    execute(&admin, &set).await.unwrap();
    let led = found(&url).await;
    let words = "leads to pg_catalog, evil, public, and not first";
    assert!(says(&led, Danger::Triggers, &[words]), "{led:?}");
    // The ledger's own connections name its schema.
    let own = format!("{url}?options[search_path]=public");
    assert_eq!(found(&own).await, []);
    execute(&admin, &format!("ALTER DATABASE {database} RESET search_path")).await.unwrap();
    // What harms nothing is said, and a reader may name a workspace.
    let reader = format!(
        "CREATE ROLE {role}_reads LOGIN IN ROLE runledger_reader; \
         ALTER ROLE {role}_reads SET runledger.workspace = '{}'; \
         ALTER ROLE {role} IN DATABASE {database} SET search_path = '$user', 'public'; \
         ALTER DATABASE {database} SET work_mem = '8MB'",
        uuid::Uuid::nil()
    );
    execute(&admin, &reader).await.unwrap();
    let trust = trust().await;
    let faults: Vec<_> =
        trust.faults.into_iter().filter(|fault| fault.danger != Danger::Durability).collect();
    assert_eq!(faults, []);
    let note = "work_mem = 8MB for this database";
    assert!(trust.notes.iter().any(|told| told.contains(note)), "{:?}", trust.notes);
}

#[tokio::test]
async fn a_migration_that_is_not_known_and_a_column_with_a_default_are_told() {
    let url = ledger_database().await;
    let admin = superuser(&url);
    let row = "INSERT INTO _sqlx_migrations SELECT 9999, 'x', now(), true, checksum, 1 \
         FROM _sqlx_migrations WHERE version = 1";
    execute(&admin, row).await.unwrap();
    let store = Store::open(&StoreUrl::Postgres(url.clone())).await.unwrap();
    let notes = store.trust().await.unwrap().notes;
    assert!(notes.iter().any(|note| note.starts_with("the migrations 9999 are")), "{notes:?}");
    for (column, statement) in [
        ("events.source", "ALTER TABLE events ALTER source SET DEFAULT 'x'"),
        ("checkpoints.signed_at", "ALTER TABLE checkpoints ALTER signed_at SET DEFAULT 0"),
    ] {
        execute(&admin, statement).await.unwrap();
        let found = found(&url).await;
        assert!(says(&found, Danger::Triggers, &[column, "have a default"]), "{found:?}");
    }
}

#[tokio::test]
async fn a_cluster_that_could_lose_what_was_acknowledged_is_refused() {
    let url = ledger_database().await;
    let store = Store::open(&StoreUrl::Postgres(url.clone())).await.unwrap();
    let sentences: Vec<String> =
        store.trust().await.unwrap().faults.into_iter().map(|fault| fault.sentence).collect();
    for setting in ["fsync = on", "full_page_writes = on"] {
        assert!(sentences.iter().any(|sentence| sentence.contains(setting)), "{sentences:?}");
    }
    let careless = format!("{url}?options[synchronous_commit]=off");
    let store = Store::open(&StoreUrl::Postgres(careless)).await.unwrap();
    let trust = store.trust().await.unwrap();
    assert!(trust.faults.iter().any(|fault| fault.sentence.contains("synchronous_commit is off")));
    let read_only = format!("{url}?options[default_transaction_read_only]=on");
    let read_only = found(&read_only).await;
    assert!(says(&read_only, Danger::Standby, &["default_transaction_read_only"]), "{read_only:?}");
    // A cluster as it is in production has nothing to be said against.
    let cluster = Cluster::start(Durability::On).unwrap();
    let admin = cluster.create_database().await.unwrap();
    let url = runledger_tests::database::prepare(&admin).await.unwrap();
    let store = Store::open(&StoreUrl::Postgres(url)).await.unwrap();
    let trust = store.trust().await.unwrap();
    store.close().await;
    assert_eq!(trust.faults, []);
    assert!(trust.notes.iter().any(|note| note.contains("data checksums")), "{:?}", trust.notes);
}

#[tokio::test]
async fn indexes_that_were_built_by_other_rules_of_sorting_are_refused() {
    let url = ledger_database().await;
    let told = async || {
        let store = Store::open(&StoreUrl::Postgres(url.clone())).await.unwrap();
        let faults = store.trust().await.unwrap().faults;
        store.close().await;
        faults.into_iter().any(|fault| {
            fault.danger == Danger::Durability
                && fault.sentence.contains("by version 1.2.3 of the collation")
        })
    };
    assert!(!told().await, "as it was made");
    let admin = superuser(&url);
    let upgraded =
        "UPDATE pg_database SET datcollversion = '1.2.3' WHERE datname = current_database()";
    execute(&admin, upgraded).await.unwrap();
    assert!(told().await);
}

#[tokio::test]
async fn the_guard_refuses_the_owner_to_alter_the_log_and_setup_to_nobody_else() {
    let url = ledger_database().await;
    let admin = superuser(&url);
    set_up(&admin).await.unwrap();
    for statement in [
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "ALTER TABLE heads ADD COLUMN more bigint",
        "DROP TABLE checkpoints CASCADE",
        "DROP TRIGGER events_immutable_rows ON events",
        "CREATE OR REPLACE FUNCTION events_are_immutable() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN RETURN NEW; END'",
        "CREATE RULE gone AS ON INSERT TO events DO INSTEAD NOTHING",
    ] {
        for who in ["", "SET ROLE runledger_owner; "] {
            let refused = execute(&admin, &format!("{who}{statement}")).await.unwrap_err();
            assert!(refused.to_string().contains("the log is guarded"), "{statement}: {refused}");
        }
    }
    // What is not the log is nobody's business.
    execute(&admin, "CREATE TABLE other (id int); DROP TABLE other").await.unwrap();
    assert_eq!(found(&url).await, []);
}

#[tokio::test]
async fn the_service_can_neither_change_nor_delete_what_is_recorded() {
    let url = ledger_database().await;
    let store = Store::open(&StoreUrl::Postgres(url.clone())).await.unwrap();
    let ledger = Ledger::new(store, Clock::system(), Entropy::system());
    create_workspace(&ledger, "main").await;
    for statement in [
        "UPDATE events SET body = body",
        "DELETE FROM events",
        "TRUNCATE events",
        "DELETE FROM checkpoints",
        "UPDATE checkpoints SET size = 0",
        "DELETE FROM heads",
        "UPDATE heads SET workspace_id = workspace_id",
        "UPDATE workspaces SET name = 'other'",
        "DELETE FROM tile_hashes",
        "INSERT INTO events SELECT * FROM events ON CONFLICT (workspace_id, position) \
         DO UPDATE SET body = excluded.body",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE events",
        "SET session_replication_role = replica",
        "SET ROLE runledger_owner",
        "CREATE TABLE here (id int)",
        "DELETE FROM _sqlx_migrations",
    ] {
        let refused = execute(&url, statement).await.unwrap_err().to_string();
        let denied = refused.contains("permission denied") || refused.contains("must be owner");
        assert!(denied, "{statement}: {refused}");
    }
    // Nor does a superuser take a head back, by accident: there the triggers stand.
    for statement in ["UPDATE heads SET size = 1", "DELETE FROM heads", "TRUNCATE heads"] {
        let admin = superuser(&url);
        let refused = execute(&admin, statement).await.unwrap_err();
        assert!(refused.to_string().contains("logs only grow"), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn every_table_is_in_the_list_that_says_who_may_do_what_with_it() {
    let url = superuser(&ledger_database().await);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let tables = "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') \
         AND relnamespace = 'public'::regnamespace AND relname <> '_sqlx_migrations' ORDER BY 1";
    let there: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    let mut listed: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    listed.sort_unstable();
    assert_eq!(there, listed, "give each new table a line in ledger/src/store/protection.rs");
}

#[tokio::test]
async fn a_file_is_trusted_with_its_triggers_and_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let url = StoreUrl::SqliteFile(path.clone());
    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.trust().await.unwrap(), Default::default());
    let (writer, _) = store.sqlite().unwrap();
    for statement in ["UPDATE heads SET size = -1", "DELETE FROM heads"] {
        let ledger = Ledger::new(store.clone(), Clock::system(), Entropy::system());
        if store.workspaces().await.unwrap().is_empty() {
            create_workspace(&ledger, "main").await;
        }
        let refused = sqlx::query(statement).execute(writer).await.unwrap_err().to_string();
        assert!(refused.contains("logs only grow"), "{statement}: {refused}");
    }
    let replace = "INSERT OR REPLACE INTO heads SELECT workspace_id, 0, 0, x'' FROM heads";
    let refused = sqlx::query(replace).execute(writer).await.unwrap_err().to_string();
    assert!(refused.contains("is there already"), "{refused}");

    writer.execute("DROP TRIGGER events_no_replace").await.unwrap();
    writer
        .execute(
            "DROP TRIGGER events_no_update; CREATE TRIGGER events_no_update BEFORE UPDATE ON \
             events WHEN 0 BEGIN SELECT 1; END",
        )
        .await
        .unwrap();
    let faults = store.trust().await.unwrap().faults;
    let sentences: Vec<&str> = faults.iter().map(|fault| fault.sentence.as_str()).collect();
    assert!(faults.iter().all(|fault| fault.danger == Danger::Triggers) && faults.len() == 2);
    assert!(
        sentences[0].starts_with("the trigger events_no_replace of the table events is missing")
    );
    assert!(sentences[1].contains("events_no_update") && sentences[1].contains("not the one"));
    store.close().await;

    let tables = directory.path().join("tables.db");
    let store = Store::open(&StoreUrl::SqliteFile(tables)).await.unwrap();
    let (writer, _) = store.sqlite().unwrap();
    writer.execute("CREATE INDEX mine ON events (event_type)").await.unwrap();
    writer.execute("CREATE TABLE other (id INTEGER DEFAULT 3)").await.unwrap();
    let row = "INSERT INTO _sqlx_migrations SELECT 9999, 'x', 0, 1, checksum, 1 \
         FROM _sqlx_migrations WHERE version = 1";
    writer.execute(row).await.unwrap();
    let trust = store.trust().await.unwrap();
    assert_eq!(trust.faults, [], "what is beside the log's tables is somebody else's");
    assert!(trust.notes[0].starts_with("the migrations 9999 are noted"), "{trust:?}");
    writer.execute("DROP INDEX events_id").await.unwrap();
    writer.execute("CREATE UNIQUE INDEX one ON heads (size)").await.unwrap();
    writer
        .execute(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = \
             replace(sql, 'signed_at    INTEGER NOT NULL', 'signed_at    INTEGER NOT NULL DEFAULT 0') \
             WHERE name = 'checkpoints'; PRAGMA writable_schema = OFF",
        )
        .await
        .unwrap();
    let faults = store.trust().await.unwrap().faults;
    let told: Vec<&str> = faults.iter().map(|fault| fault.sentence.as_str()).collect();
    for (place, words) in [
        "the index events_id of the table events is missing",
        "the index one of the table heads, which no migration makes",
        "the table checkpoints is not the one that the migrations make",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(told[place].starts_with(words), "{told:?}");
    }
    assert_eq!(told.len(), 3);
    store.close().await;

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let other = directory.path().join("other.db");
        let store = Store::open(&StoreUrl::SqliteFile(other.clone())).await.unwrap();
        let set = |mode| std::fs::set_permissions(&other, std::fs::Permissions::from_mode(mode));
        set(0o620).unwrap();
        let faults = store.trust().await.unwrap().faults;
        assert_eq!(faults[0].danger, Danger::File);
        assert!(
            faults[0].sentence.contains("mode 620") && faults[0].sentence.contains("chmod 600")
        );
        set(0o640).unwrap();
        let trust = store.trust().await.unwrap();
        assert!(trust.faults.is_empty() && trust.notes[0].contains("mode 640"), "{trust:?}");
    }
}

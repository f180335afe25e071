//! Row-level security: what a connection sees, adds and changes, in every table.

use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::protection::TABLES;
use runledger_ledger::store::trust::Danger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::words::WorkspaceId;
use runledger_tests::database::superuser;
use runledger_tests::ledger_database;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::bed::create_workspace;

const A: WorkspaceId = WorkspaceId(Uuid::from_u128(0xa));
const B: WorkspaceId = WorkspaceId(Uuid::from_u128(0xb));
/// Tables that belong to no workspace: what servers tell each other, and who may ask.
const OF_SERVERS: [&str; 6] =
    ["leases", "listening", "principals", "role_grants", "tokens", "web_sessions"];

async fn run(connection: &mut PgConnection, statement: &str) -> Result<u64, sqlx::Error> {
    let statement = sqlx::query(AssertSqlSafe(statement.to_owned()));
    Ok(statement.execute(connection).await?.rows_affected())
}

async fn count(connection: &mut PgConnection, table: &str, of: &str) -> i64 {
    let count = AssertSqlSafe(format!("SELECT count(*) FROM {table} {of}"));
    sqlx::query_scalar(count).fetch_one(connection).await.unwrap()
}

/// Does a statement in a transaction with these settings, and takes it back.
async fn within(
    connection: &mut PgConnection,
    settings: &str,
    statement: &str,
) -> Result<u64, String> {
    let mut transaction = connection.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(settings.to_owned())).execute(&mut *transaction).await.unwrap();
    let done = run(&mut transaction, statement).await;
    transaction.rollback().await.unwrap();
    done.map_err(|error| error.to_string())
}

/// A statement that adds a row of this workspace to a table, whatever its columns are. Rows of
/// another `number` have other keys.
async fn insert(connection: &mut PgConnection, table: &str, of: WorkspaceId, number: u8) -> String {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT column_name::text, data_type::text FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position",
    )
    .bind(table)
    .fetch_all(connection)
    .await
    .unwrap();
    let value = |(name, kind): &(String, String)| match (name.as_str(), kind.as_str()) {
        ("workspace_id", _) => format!("'{of}'"),
        ("name", _) => format!("'{of}-{number}'"),
        (_, "uuid") => format!("'{}'", Uuid::from_u128(number.into())),
        (_, "bytea") => format!("'\\x{number:02x}'"),
        (_, "text") => format!("'{number}'"),
        (_, "boolean") => "true".to_owned(),
        (_, "bigint" | "smallint" | "integer") => number.to_string(),
        (name, kind) => panic!("a value for {table}.{name} of {kind}"),
    };
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<String> = columns.iter().map(value).collect();
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

#[tokio::test]
async fn no_table_shows_or_takes_rows_of_another_workspace() {
    let url = ledger_database().await;
    let mut admin = PgConnection::connect(&superuser(&url)).await.unwrap();
    let mut service = PgConnection::connect(&url).await.unwrap();
    let of_a = format!("SET LOCAL runledger.workspace = '{A}'");
    for (table, _) in TABLES.iter().filter(|(table, _)| !OF_SERVERS.contains(table)) {
        for of in [A, B] {
            let row = insert(&mut admin, table, of, 1).await;
            run(&mut admin, &row).await.unwrap();
        }
        assert_eq!(count(&mut service, table, "").await, 0, "{table} with nothing named");
        let mut transaction = service.begin().await.unwrap();
        run(&mut transaction, &of_a).await.unwrap();
        assert_eq!(count(&mut transaction, table, "").await, 1, "{table} of its own");
        let of_b = format!("WHERE workspace_id = '{B}'");
        assert_eq!(count(&mut transaction, table, &of_b).await, 0, "{table} of another");
        transaction.rollback().await.unwrap();

        // Also where the key is taken: what is there is not told.
        for number in [1, 2] {
            let row = insert(&mut admin, table, B, number).await;
            for settings in [of_a.as_str(), "SET LOCAL runledger.service = 'on'", "SELECT 1"] {
                let refused = within(&mut service, settings, &row).await.unwrap_err();
                assert!(refused.contains("row-level security"), "{table}, {settings}: {refused}");
            }
        }
        let own = insert(&mut admin, table, A, 2).await;
        // Of some tables there is one row a workspace: then it is the key that refuses.
        match within(&mut service, &of_a, &own).await {
            Ok(rows) => assert_eq!(rows, 1, "{table}"),
            Err(refused) => assert!(refused.contains("duplicate key"), "{table}: {refused}"),
        }
        for statement in [
            format!("UPDATE {table} SET workspace_id = '{B}'"),
            format!("UPDATE {table} SET workspace_id = workspace_id {of_b}"),
            format!("DELETE FROM {table} {of_b}"),
        ] {
            match within(&mut service, &of_a, &statement).await {
                Ok(rows) => assert_eq!(rows, 0, "{statement}"),
                Err(refused) => assert!(
                    refused.contains("row-level security") || refused.contains("permission denied"),
                    "{statement}: {refused}"
                ),
            }
        }
        // The setting went with its transaction.
        assert_eq!(count(&mut service, table, "").await, 0, "{table} with nothing named any more");
    }
}

#[tokio::test]
async fn what_spans_workspaces_sees_neither_events_nor_runs() {
    let url = ledger_database().await;
    let mut admin = PgConnection::connect(&superuser(&url)).await.unwrap();
    for (table, _) in TABLES {
        let row = insert(&mut admin, table, A, 1).await;
        run(&mut admin, &row).await.unwrap();
    }
    let mut service = PgConnection::connect(&url).await.unwrap();
    let mut transaction = service.begin().await.unwrap();
    run(&mut transaction, "SET LOCAL runledger.service = 'on'").await.unwrap();
    let mut seen = Vec::new();
    for (table, _) in TABLES {
        if count(&mut transaction, table, "").await > 0 {
            seen.push(*table);
        }
    }
    seen.retain(|table| !OF_SERVERS.contains(table));
    assert_eq!(seen, ["workspaces", "heads", "projections"]);
    for table in ["workspaces", "heads", "projections"] {
        let of = insert(&mut admin, table, A, 2).await;
        let refused = run(&mut transaction.begin().await.unwrap(), &of).await.unwrap_err();
        assert!(refused.to_string().contains("row-level security"), "{refused}");
    }
    transaction.rollback().await.unwrap();
    for table in OF_SERVERS {
        assert_eq!(count(&mut service, table, "").await, 0, "{table} with nothing named");
    }
}

#[tokio::test]
async fn the_owner_and_a_reader_see_one_workspace_at_a_time_too() {
    let url = ledger_database().await;
    let store = Store::open(&StoreUrl::Postgres(url.clone())).await.unwrap();
    let ledger = Ledger::new(store, Clock::system(), Entropy::system());
    let workspace = create_workspace(&ledger, "main").await;
    create_workspace(&ledger, "other").await;
    let mut admin = PgConnection::connect(&superuser(&url)).await.unwrap();
    assert_eq!(count(&mut admin, "events", "").await, 4, "a superuser sees all");
    for role in ["runledger_owner", "runledger_reader"] {
        run(&mut admin, &format!("SET ROLE {role}")).await.unwrap();
        assert_eq!(count(&mut admin, "events", "").await, 0, "{role}");
        run(&mut admin, &format!("SET runledger.workspace = '{workspace}'")).await.unwrap();
        assert_eq!(count(&mut admin, "events", "").await, 2, "{role}");
        assert_eq!(count(&mut admin, "cqrs_events", "").await, 2, "{role}");
        run(&mut admin, "RESET runledger.workspace").await.unwrap();
    }
    let refused = run(&mut admin, "DELETE FROM runs").await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "a reader writes nothing: {refused}");
}

#[tokio::test]
async fn a_table_that_row_level_security_does_not_keep_is_named() {
    let url = ledger_database().await;
    let store = Store::open(&StoreUrl::Postgres(url.clone())).await.unwrap();
    let mut admin = PgConnection::connect(&superuser(&url)).await.unwrap();
    for (open, shut) in [
        (
            "ALTER TABLE runs NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE runs FORCE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE runs DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE runs ENABLE ROW LEVEL SECURITY",
        ),
        ("CREATE POLICY all_of_it ON runs USING (true)", "DROP POLICY all_of_it ON runs"),
        (
            "ALTER POLICY of_workspace ON runs USING (true)",
            "ALTER POLICY of_workspace ON runs USING (workspace_id = \
             NULLIF(current_setting('runledger.workspace', true), '')::uuid)",
        ),
    ] {
        run(&mut admin, open).await.unwrap();
        let faults = store.trust().await.unwrap().faults;
        let named = faults.iter().find(|fault| fault.danger == Danger::RowSecurity);
        let named = named.unwrap_or_else(|| panic!("{open}: {faults:?}"));
        assert!(named.sentence.contains("apart in runs,"), "{}", named.sentence);
        run(&mut admin, shut).await.unwrap();
        let faults = store.trust().await.unwrap().faults;
        assert!(faults.iter().all(|fault| fault.danger == Danger::Durability), "{faults:?}");
    }
}

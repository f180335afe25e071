//! Who may do what with each table, on PostgreSQL (specs/0019). Put into force after the migrations,
//! and again when it has changed: none of it is in a migration, so all of it can be read here.

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::StoreError;

/// Owns everything; nobody signs in as it.
pub const OWNER: &str = "runledger_owner";
/// Acts as the owner, to bring the tables up to date.
pub const MIGRATOR: &str = "runledger_migrator";
/// What the service is a member of.
pub const APP: &str = "runledger_app";
/// Reads, one workspace at a time.
pub const READER: &str = "runledger_reader";
/// Will erase bodies.
pub const ERASER: &str = "runledger_eraser";
/// All of them, none of which signs in.
pub const ROLES: [&str; 5] = [OWNER, MIGRATOR, APP, READER, ERASER];

/// What the service may do with a table beside reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Add rows: what is recorded stays.
    Append,
    /// Add heads, and advance them.
    Head,
    /// Everything: it is derived, or about work in hand.
    Work,
}

impl Rights {
    const fn granted(self) -> &'static str {
        match self {
            Rights::Append => "SELECT, INSERT",
            Rights::Head => "SELECT, INSERT, UPDATE (size, last_recorded_at, frontier)",
            Rights::Work => "SELECT, INSERT, UPDATE, DELETE",
        }
    }

    /// What has to be there for the service to work, in the words of `has_table_privilege`.
    pub(super) const fn needed(self) -> &'static [&'static str] {
        match self {
            Rights::Append | Rights::Head => &["SELECT", "INSERT"],
            Rights::Work => &["SELECT", "INSERT", "UPDATE", "DELETE"],
        }
    }

    /// What must not be there.
    pub(super) const fn withheld(self) -> &'static str {
        match self {
            Rights::Append => "UPDATE, DELETE, TRUNCATE, TRIGGER",
            Rights::Head => "DELETE, TRUNCATE, TRIGGER",
            Rights::Work => "TRUNCATE, TRIGGER",
        }
    }
}

/// Every table, and what the service may do with it. A new table gets a line here.
pub const TABLES: &[(&str, Rights)] = &[
    ("events", Rights::Append),
    ("checkpoints", Rights::Append),
    ("tile_hashes", Rights::Append),
    ("workspaces", Rights::Append),
    ("heads", Rights::Head),
    ("adapter_health", Rights::Work),
    ("correlations", Rights::Work),
    ("follow_up_items", Rights::Work),
    ("item_counts", Rights::Work),
    ("leases", Rights::Work),
    ("listening", Rights::Work),
    ("observer_rounds", Rights::Work),
    ("observer_wakes", Rights::Work),
    ("operation_outcomes", Rights::Work),
    ("projections", Rights::Work),
    ("queues", Rights::Work),
    ("reconciler_cursors", Rights::Work),
    ("reconciler_wakes", Rights::Work),
    ("remote_claims", Rights::Work),
    ("reservations", Rights::Work),
    ("run_counts", Rights::Work),
    ("runs", Rights::Work),
    ("saved_views", Rights::Work),
    ("subjects", Rights::Work),
    ("worker_queues", Rights::Work),
    ("workers", Rights::Work),
];

/// What the migrations made beside tables, which the service may use.
const BESIDE: &str = "\
REVOKE ALL ON cqrs_events, _sqlx_migrations FROM PUBLIC;
REVOKE ALL ON FUNCTION events_are_immutable(), checkpoints_are_immutable(), logs_only_grow() FROM PUBLIC;
";
const BESIDE_GRANTS: &str = "\
GRANT SELECT ON cqrs_events, _sqlx_migrations TO runledger_app, runledger_reader;
GRANT USAGE ON SCHEMA runledger_v1 TO runledger_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA runledger_v1 TO runledger_reader;
";
/// The functions that stand behind them.
pub(super) const FUNCTIONS: [&str; 3] =
    ["events_are_immutable", "checkpoints_are_immutable", "logs_only_grow"];
const ROLES_THERE: &str = "SELECT count(*) = cardinality($1) FROM pg_roles WHERE rolname = ANY($1)";
const IN_FORCE: &str = "SELECT obj_description('heads'::regclass, 'pg_class')";
/// One at a time: two who change the rights of one table at a time disturb each other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('runledger protection'))";

/// Puts the protection into force, for the owner of the tables, unless it is in force already.
/// `version` is that of the last migration: one that makes a table anew takes its rights away.
pub(super) async fn protect(connection: &mut PgConnection, version: i64) -> Result<(), StoreError> {
    let names: Vec<&str> = ROLES.to_vec();
    let roles: bool =
        sqlx::query_scalar(ROLES_THERE).bind(names).fetch_one(&mut *connection).await?;
    let statements = statements(roles);
    let digest = hex::encode(Sha256::digest(format!("{version} {statements}")));
    let mark = format!("One row per log. Protection {digest}");
    if in_force(&mut *connection).await? == Some(mark.clone()) {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).execute(&mut *transaction).await?;
    if in_force(&mut transaction).await? != Some(mark.clone()) {
        // Only constants of this file are in it, and a digest.
        let all = format!("{statements}COMMENT ON TABLE heads IS '{mark}'");
        sqlx::raw_sql(AssertSqlSafe(all)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn in_force(connection: &mut PgConnection) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar(IN_FORCE).fetch_one(connection).await?)
}

/// All of it, for a database whose cluster has the roles or has not.
fn statements(roles: bool) -> String {
    let mut all = BESIDE.to_owned();
    for (table, rights) in TABLES {
        all += &format!("REVOKE ALL ON {table} FROM PUBLIC;\n");
        if roles {
            let granted = rights.granted();
            all += &format!(
                "REVOKE ALL ON {table} FROM {APP}, {READER}, {ERASER};\n\
                 GRANT {granted} ON {table} TO {APP};\nGRANT SELECT ON {table} TO {READER};\n"
            );
        }
    }
    if roles {
        all += BESIDE_GRANTS;
    }
    all
}

//! Who may do what with each table, on PostgreSQL (specs/0019). Put into force after the migrations,
//! and again when it has changed: none of it is in a migration, so all of it can be read here.

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{StoreError, functions};

/// Owns everything; nobody signs in as it.
pub const OWNER: &str = "runledger_owner";
/// Acts as the owner, to bring the tables up to date.
pub const MIGRATOR: &str = "runledger_migrator";
/// What the service is a member of.
pub const APP: &str = "runledger_app";
/// Reads, one workspace at a time.
pub const READER: &str = "runledger_reader";
/// Puts tombstones in the place of bodies that the log orders to be erased (specs/0024).
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
    /// Everything, and nobody else reads it: who may ask, and by which hashes they are known. It is
    /// asked before it is known which workspace is meant, so it is never held to one.
    Access,
}

impl Rights {
    const fn granted(self) -> &'static str {
        match self {
            Rights::Append => "SELECT, INSERT",
            Rights::Head => "SELECT, INSERT, UPDATE (size, last_recorded_at, frontier)",
            Rights::Work | Rights::Access => "SELECT, INSERT, UPDATE, DELETE",
        }
    }

    /// What has to be there for the service to work, in the words of `has_table_privilege`.
    pub(super) const fn needed(self) -> &'static [&'static str] {
        match self {
            Rights::Append | Rights::Head => &["SELECT", "INSERT"],
            Rights::Work | Rights::Access => &["SELECT", "INSERT", "UPDATE", "DELETE"],
        }
    }

    /// What must not be there.
    pub(super) const fn withheld(self) -> &'static str {
        match self {
            Rights::Append => "UPDATE, DELETE, TRUNCATE, TRIGGER",
            Rights::Head => "DELETE, TRUNCATE, TRIGGER",
            Rights::Work | Rights::Access => "TRUNCATE, TRIGGER",
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
    ("principals", Rights::Access),
    ("role_grants", Rights::Access),
    ("tokens", Rights::Access),
    ("web_sessions", Rights::Access),
];

/// Statistics, of the columns by which rows are looked for; the wide ones say nothing and cost most.
/// Only an owner may gather them, so this runs as the owner.
const COUNT_ROWS: &str = "\
CREATE OR REPLACE FUNCTION count_rows() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    ANALYZE runs (workspace_id, generation, run_id, operation, subject, queue, status, outcome,
                  actionability, dispatched_at, key, item_key, follow_up, success, open),
            events (workspace_id, position, aggregate_type, aggregate_id, sequence, event_type,
                    recorded_at),
            follow_up_items (workspace_id, generation, item_key, last_settled_at),
            subjects (workspace_id, generation, subject_key);
END $$;
REVOKE ALL ON FUNCTION count_rows() FROM PUBLIC;
";
/// The workspace that a transaction has named. A setting that was made local to a transaction is
/// empty afterwards, and not gone.
const WORKSPACE: &str =
    "workspace_id = NULLIF(current_setting('runledger.workspace', true), '')::uuid";
/// Whether it does what spans workspaces.
const SERVICE: &str = "current_setting('runledger.service', true) = 'on'";
/// What spans workspaces altogether: also who may ask, which is asked before it is known of which
/// workspace something is meant.
const OF_SERVICE: [&str; 6] =
    ["leases", "listening", "principals", "role_grants", "tokens", "web_sessions"];
/// What is of a workspace and read, not written, by what spans them.
const READ_BY_SERVICE: [&str; 3] = ["workspaces", "heads", "projections"];

/// What the migrations made beside tables, which the service may use.
const BESIDE: &str = "\
REVOKE ALL ON cqrs_events, _sqlx_migrations FROM PUBLIC;
REVOKE ALL ON FUNCTION events_are_immutable(), checkpoints_are_immutable(), logs_only_grow() FROM PUBLIC;
";
const BESIDE_GRANTS: &str = "\
GRANT SELECT ON cqrs_events, _sqlx_migrations TO runledger_app, runledger_reader;
GRANT SELECT ON runledger_v1_workspaces, runledger_v1_runs, runledger_v1_follow_ups,
    runledger_v1_run_counts, runledger_v1_queues, runledger_v1_checkpoints TO runledger_reader;
GRANT EXECUTE ON FUNCTION append_events, events_of_streams, last_sequences, events_by_ids,
    claims_of_keys, held_reservations, needs_of_batch, runs_at_a_glance, active_at_a_glance, items_at_a_glance,
    signed_at_a_glance, left_at_a_glance, recent_at_a_glance, queues_at_a_glance, oldest_at_a_glance,
    stale_at_a_glance, count_rows TO runledger_app;
GRANT SELECT ON _sqlx_migrations, events, heads, workspaces TO runledger_eraser;
GRANT UPDATE (body, source, event_id, content_hash) ON events TO runledger_eraser;
";
/// A function as it is made, as far as it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// What it is called.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) source: &'static str,
    /// Whether it runs as its owner.
    pub(super) definer: bool,
}

/// The functions that the service calls, as they are made here.
pub(super) fn functions() -> Vec<Function> {
    let texts =
        [functions::APPEND, functions::READS, functions::GLANCE, functions::OF_LATE, COUNT_ROWS];
    let of = |text: &'static str| text.split("CREATE OR REPLACE FUNCTION ").skip(1);
    let read = |made: &'static str| {
        let (head, rest) = made.split_once("$$")?;
        let (source, _) = rest.split_once("$$")?;
        let (name, _) = head.split_once('(')?;
        Some(Function { name, source, definer: head.contains("SECURITY DEFINER") })
    };
    texts.into_iter().flat_map(of).filter_map(read).collect()
}

/// The rule of each table, and by which other one what spans workspaces reads it, as PostgreSQL
/// writes them, but for blanks, brackets and `::text`: those depend on its version.
pub(super) struct Policies {
    pub(super) tables: Vec<&'static str>,
    pub(super) rules: Vec<&'static str>,
    pub(super) read_rules: Vec<Option<&'static str>>,
}

const WORKSPACE_WRITTEN: &str =
    "workspace_id=NULLIFcurrent_setting'runledger.workspace',true,''::uuid";
const SERVICE_WRITTEN: &str = "current_setting'runledger.service',true='on'";

/// The policies that each table has, and no other.
pub(super) fn policies() -> Policies {
    let tables: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    let rule = |table: &&str| match OF_SERVICE.contains(table) {
        true => SERVICE_WRITTEN,
        false => WORKSPACE_WRITTEN,
    };
    let read = |table: &&str| READ_BY_SERVICE.contains(table).then_some(SERVICE_WRITTEN);
    Policies {
        rules: tables.iter().map(rule).collect(),
        read_rules: tables.iter().map(read).collect(),
        tables,
    }
}

/// The functions that stand behind them.
pub(super) const FUNCTIONS: [&str; 25] = [
    "events_are_immutable",
    "checkpoints_are_immutable",
    "logs_only_grow",
    "append_events",
    "events_of_streams",
    "last_sequences",
    "events_by_ids",
    "claims_of_keys",
    "held_reservations",
    "needs_of_batch",
    "runs_at_a_glance",
    "active_at_a_glance",
    "items_at_a_glance",
    "signed_at_a_glance",
    "left_at_a_glance",
    "recent_at_a_glance",
    "queues_at_a_glance",
    "oldest_at_a_glance",
    "stale_at_a_glance",
    "count_rows",
    "runledger_v1_moment",
    "runledger_v1_status",
    "runledger_v1_outcome",
    "runledger_v1_actionability",
    "runledger_v1_freshness",
];
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
    let mut all = [
        BESIDE,
        functions::APPEND,
        functions::READS,
        functions::GLANCE,
        functions::OF_LATE,
        COUNT_ROWS,
    ]
    .concat();
    for (table, rights) in TABLES {
        let rule = if OF_SERVICE.contains(table) { SERVICE } else { WORKSPACE };
        all += &format!(
            "REVOKE ALL ON {table} FROM PUBLIC;\n\
             ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n\
             DROP POLICY IF EXISTS of_workspace ON {table};\n\
             CREATE POLICY of_workspace ON {table} USING ({rule}) WITH CHECK ({rule});\n\
             DROP POLICY IF EXISTS of_service ON {table};\n"
        );
        if READ_BY_SERVICE.contains(table) {
            all += &format!("CREATE POLICY of_service ON {table} FOR SELECT USING ({SERVICE});\n");
        }
        if roles {
            let granted = rights.granted();
            all += &format!(
                "REVOKE ALL ON {table} FROM {APP}, {READER}, {ERASER};\n\
                 GRANT {granted} ON {table} TO {APP};\n"
            );
            if *rights != Rights::Access {
                all += &format!("GRANT SELECT ON {table} TO {READER};\n");
            }
        }
    }
    if roles {
        all += BESIDE_GRANTS;
    }
    all
}

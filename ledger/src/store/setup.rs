//! Setting a PostgreSQL database up for a service that owns nothing (specs/0019): what an
//! administrator does once, and again for a new version.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::postgres::{MIGRATIONS, last_migration};
use super::protection::{self, APP, ERASER, MIGRATOR, OWNER, READER, ROLES, TABLES};
use super::{StoreError, trust};

/// What was done, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetUp {
    /// The database's name.
    pub database: String,
    /// Roles that were made.
    pub made: Vec<&'static str>,
    /// Whether event triggers refuse DDL on the log.
    pub guarded: bool,
}

/// Why a database was not set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The administrator of the URL may not do what has to be done.
    #[error("{0}")]
    NotAllowed(String, #[source] StoreError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SetUpError {
    fn from(error: sqlx::Error) -> Self {
        SetUpError::Store(error.into())
    }
}

const WHO: &str = "SELECT current_user::text, rolsuper, current_database()::text, \
     coalesce(quote_ident(current_schema()), '') FROM pg_roles WHERE rolname = current_user";
const HAS_ROLE: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";
const IS_MEMBER: &str = "SELECT pg_has_role($1, $2, 'MEMBER')";
const OWNED_BY_OTHERS: &str = "\
SELECT CASE c.relkind WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || c.oid::regclass::text
FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind IN ('r', 'v') AND c.relname = ANY($1) AND c.relowner <> $2::regrole
UNION ALL
SELECT 'FUNCTION ' || p.oid::regprocedure::text FROM pg_proc AS p
WHERE p.pronamespace = current_schema()::regnamespace AND p.proname = ANY($3)
  AND p.proowner <> $2::regrole";
/// What there is beside the tables.
const VIEWS: [&str; 8] = [
    "cqrs_events",
    "_sqlx_migrations",
    "runledger_v1_workspaces",
    "runledger_v1_runs",
    "runledger_v1_follow_ups",
    "runledger_v1_run_counts",
    "runledger_v1_queues",
    "runledger_v1_checkpoints",
];

/// Makes the roles that are missing, gives everything to the owner, brings the tables up to date as
/// the owner, and puts rights and event triggers into force. What is there already stays.
///
/// # Errors
/// [`SetUpError::NotAllowed`] if the user of `url` may not make roles, or may not act as the owner.
pub async fn set_up(url: &str) -> Result<SetUp, SetUpError> {
    let mut connection = PgConnection::connect(url).await?;
    let (user, superuser, database, schema): (String, bool, String, String) =
        sqlx::query_as(WHO).fetch_one(&mut connection).await?;
    if schema.is_empty() {
        let what = "the search_path names no schema that is there; name one in the URL";
        return Err(StoreError::Unsafe(what.to_owned()).into());
    }
    let made = make_roles(&mut connection, &user).await?;
    let joined = act_as_owner(&mut connection, &user, superuser).await?;
    if superuser {
        trust::unguard(&mut connection).await?;
    }
    hand_over(&mut connection, &user, &schema).await?;
    sqlx::query("SET ROLE runledger_owner").execute(&mut connection).await?;
    sqlx::query("SET client_min_messages = warning").execute(&mut connection).await?;
    MIGRATIONS.run(&mut connection).await.map_err(StoreError::Migration)?;
    protection::protect(&mut connection, last_migration()).await?;
    sqlx::query("RESET ROLE").execute(&mut connection).await?;
    if superuser {
        trust::guard(&mut connection, &schema).await?;
    }
    if joined {
        // It may let itself in again at any time; from here on it does nothing by accident.
        sqlx::query("REVOKE runledger_owner FROM CURRENT_USER").execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(SetUp { database, made, guarded: superuser })
}

async fn make_roles(
    connection: &mut PgConnection,
    user: &str,
) -> Result<Vec<&'static str>, SetUpError> {
    let mut made = Vec::new();
    for role in ROLES {
        let there: bool =
            sqlx::query_scalar(HAS_ROLE).bind(role).fetch_one(&mut *connection).await?;
        if there {
            continue;
        }
        // A constant of ours; no text of a caller is in it.
        let make = AssertSqlSafe(format!("CREATE ROLE {role} NOLOGIN"));
        sqlx::raw_sql(make).execute(&mut *connection).await.map_err(|error| {
            let what = format!("the user {user} may not make the role {role}; it needs CREATEROLE");
            SetUpError::NotAllowed(what, error.into())
        })?;
        made.push(role);
    }
    if made.contains(&MIGRATOR) {
        let join = AssertSqlSafe(format!("GRANT {OWNER} TO {MIGRATOR}"));
        sqlx::raw_sql(join).execute(&mut *connection).await?;
    }
    Ok(made)
}

/// Sees to it that the administrator may become the owner. True if he was made a member for it.
async fn act_as_owner(
    connection: &mut PgConnection,
    user: &str,
    superuser: bool,
) -> Result<bool, SetUpError> {
    let member: bool =
        sqlx::query_scalar(IS_MEMBER).bind(user).bind(OWNER).fetch_one(&mut *connection).await?;
    if superuser || member {
        return Ok(false);
    }
    sqlx::query("GRANT runledger_owner TO CURRENT_USER").execute(&mut *connection).await.map_err(
        |error| {
            let what =
                format!("the user {user} may not act as {OWNER}; make it a member of {MIGRATOR}");
            SetUpError::NotAllowed(what, error.into())
        },
    )?;
    Ok(true)
}

/// Gives the schema and everything of ours in it to the owner.
async fn hand_over(
    connection: &mut PgConnection,
    user: &str,
    schema: &str,
) -> Result<(), SetUpError> {
    let not_allowed = |error: sqlx::Error| {
        let what = format!(
            "the user {user} may not give the schema {schema} or what is in it to {OWNER}; it \
             needs to own both"
        );
        SetUpError::NotAllowed(what, error.into())
    };
    let usable: bool =
        sqlx::query_scalar("SELECT has_schema_privilege($1, current_schema(), 'CREATE')")
            .bind(OWNER)
            .fetch_one(&mut *connection)
            .await?;
    let public: bool =
        sqlx::query_scalar("SELECT has_schema_privilege('public', current_schema(), 'CREATE')")
            .fetch_one(&mut *connection)
            .await?;
    let used: bool =
        sqlx::query_scalar("SELECT has_schema_privilege($1, current_schema(), 'USAGE')")
            .bind(APP)
            .fetch_one(&mut *connection)
            .await?;
    if !usable || public || !used {
        // The name comes from the database, quoted by it; the rest are constants.
        let statements = format!(
            "REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;
             GRANT USAGE, CREATE ON SCHEMA {schema} TO {OWNER};
             GRANT USAGE ON SCHEMA {schema} TO {APP}, {READER}, {ERASER}"
        );
        let statements = sqlx::raw_sql(AssertSqlSafe(statements));
        statements.execute(&mut *connection).await.map_err(not_allowed)?;
    }
    let tables: Vec<&str> = TABLES.iter().map(|(table, _)| *table).chain(VIEWS).collect();
    let functions: Vec<&str> = protection::FUNCTIONS.to_vec();
    let theirs: Vec<String> = sqlx::query_scalar(OWNED_BY_OTHERS)
        .bind(tables)
        .bind(OWNER)
        .bind(functions)
        .fetch_all(&mut *connection)
        .await?;
    for what in theirs {
        // The name comes from the database, quoted by it.
        let give = AssertSqlSafe(format!("ALTER {what} OWNER TO {OWNER}"));
        sqlx::raw_sql(give).execute(&mut *connection).await.map_err(not_allowed)?;
    }
    Ok(())
}

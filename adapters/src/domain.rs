//! The domain database: a PostgreSQL of the applications whose runs are judged, read and never
//! written.
//!
//! Every read is one statement in a read-only transaction with a statement timeout, a lock timeout
//! and a limit of rows. Read-only transactions still run volatile functions, so the real fence is
//! the role: [`Domain::check`] refuses one that could write. What the database says of an error is
//! reduced to a class, because it may hold addresses, SQL and values.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::QueryAs;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, FromRow, PgPool, Postgres, SqlSafeStr, Transaction,
};

use crate::source::{SourceClass, SourceError};

/// Where the domain database is, and how much of it a read may take.
#[derive(Clone)]
pub struct DomainSettings {
    /// How long a read waits for a connection.
    pub connect_timeout: Duration,
    /// How long a read waits for a lock.
    pub lock_timeout: Duration,
    /// Most connections at a time.
    pub max_connections: u32,
    /// Most rows of one read. One that has more is refused whole: what is missing might be the
    /// row that says otherwise.
    pub row_cap: usize,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// `postgres://ROLE:PASSWORD@HOST/DATABASE`, for a role that may only read.
    pub url: String,
}

impl DomainSettings {
    /// The usual limits for the database that `url` names.
    pub fn new(url: impl Into<String>) -> Self {
        DomainSettings {
            connect_timeout: Duration::from_secs(3),
            lock_timeout: Duration::from_secs(1),
            max_connections: 4,
            row_cap: 20_000,
            statement_timeout: Duration::from_secs(5),
            url: url.into(),
        }
    }
}

impl fmt::Debug for DomainSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DomainSettings(…)")
    }
}

/// The settings name no PostgreSQL database. What they hold is not repeated: it may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of the domain database cannot be read; write it as \
     postgres://ROLE:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded"
)]
pub struct NoDomainUrl;

/// Why a domain database is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainFault {
    /// It gave no answer.
    #[error("the domain database cannot be checked")]
    Source(#[from] SourceError),
    /// The role could write.
    #[error(
        "the role of the domain database may change it ({0}); use a role that has USAGE on the \
         schema and SELECT on the tables, and nothing more (see adapters/examples/domain.sql)"
    )]
    CanWrite(&'static str),
}

/// A domain database. Clones share their connections, which are made when they are needed: a
/// database that is down stops no server from starting.
#[derive(Clone)]
pub struct Domain {
    pool: PgPool,
    begin: String,
    row_cap: usize,
    time_limit: Duration,
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Domain(…)")
    }
}

impl Domain {
    /// The database of these settings. Connects to nothing yet.
    ///
    /// # Errors
    /// The URL is none.
    pub fn new(settings: &DomainSettings) -> Result<Self, NoDomainUrl> {
        let options = PgConnectOptions::from_str(&settings.url).map_err(|_| NoDomainUrl)?;
        // Statements are not logged: their parameters come from runs.
        let options = options.application_name("runledger").disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.connect_timeout)
            .connect_lazy_with(options);
        // Both limits are numbers, so no text of anybody's is in the statement.
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
            settings.statement_timeout.as_millis().max(1),
            settings.lock_timeout.as_millis().max(1),
        );
        // If the server does not keep its own limit, nobody waits for it for ever.
        let time_limit = settings.connect_timeout + settings.statement_timeout * 2;
        Ok(Domain { pool, begin, row_cap: settings.row_cap, time_limit })
    }

    /// The rows of one parameterised query.
    ///
    /// # Errors
    /// The database gave no answer, one that cannot be read, or more rows than may be read.
    pub async fn rows<T>(
        &self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, SourceError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        match tokio::time::timeout(self.time_limit, self.read(query)).await {
            Ok(rows) => rows,
            Err(_) => Err(SourceError::new(SourceClass::Timeout, "reading the domain database")),
        }
    }

    async fn read<T>(
        &self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, SourceError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut transaction = self.begin().await.map_err(|error| reduced(&error))?;
        let mut rows = Vec::new();
        {
            let mut stream = query.fetch(&mut *transaction);
            while let Some(row) = stream.try_next().await.map_err(|error| reduced(&error))? {
                if rows.len() == self.row_cap {
                    let what = "the domain database has more rows than may be read at once";
                    return Err(SourceError::new(SourceClass::Malformed, what));
                }
                rows.push(row);
            }
        }
        transaction.rollback().await.map_err(|error| reduced(&error))?;
        Ok(rows)
    }

    /// Begins a reading transaction, in a task that nobody drops: of one whose beginning was given
    /// up on its way, the driver would leave the rest to whoever gets the connection next.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let (pool, begin) = (self.pool.clone(), AssertSqlSafe(self.begin.clone()));
        let begun = tokio::spawn(async move { pool.begin_with(begin).await });
        // It ends early only with the whole program.
        begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Lets the database prepare a statement, which must hold no text of a run.
    ///
    /// # Errors
    /// It refuses the statement or does not answer. The sentence holds an SQLSTATE at most.
    pub async fn prepare(&self, statement: &str) -> Result<(), String> {
        let said = |error: &sqlx::Error| match error.as_database_error().and_then(|e| e.code()) {
            Some(code) => format!(
                "the domain database refuses its query with SQLSTATE {code}{}; run the query there \
                 as the role of the ledger to see why",
                meaning(&code)
            ),
            None => format!("{}; is the domain database up?", reduced(error)),
        };
        let mut transaction = self.begin().await.map_err(|error| said(&error))?;
        // The administrator's own statement, and it is not run.
        let statement = AssertSqlSafe(statement.to_owned()).into_sql_str();
        transaction.prepare(statement).await.map_err(|error| said(&error))?;
        transaction.rollback().await.map_err(|error| said(&error))
    }

    /// Checks that the database answers and that its role cannot write: it is no superuser, owns no
    /// table here, and may change none.
    ///
    /// # Errors
    /// It does not answer, or the role could write.
    pub async fn check(&self) -> Result<(), DomainFault> {
        let found: Vec<(bool, bool)> = self.rows(sqlx::query_as(RIGHTS)).await?;
        match found.first() {
            None => {
                Err(SourceError::new(SourceClass::Malformed, "reading the role's rights").into())
            }
            Some((true, _)) => Err(DomainFault::CanWrite("it is a superuser")),
            Some((_, true)) => Err(DomainFault::CanWrite("it may change or owns a table")),
            Some((false, false)) => Ok(()),
        }
    }
}

/// Whether the role is a superuser, and whether it could change any table of the database.
const RIGHTS: &str = "SELECT
    (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
    EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'f')
          AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND n.nspname NOT LIKE 'pg\\_%'
          AND pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
    )";

/// The class of a database error.
fn reduced(error: &sqlx::Error) -> SourceError {
    let class = match error {
        sqlx::Error::Database(error) => class_of_code(&error.code().unwrap_or_default()),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::RowNotFound => SourceClass::Malformed,
        sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => SourceClass::Refused,
        _ => SourceClass::Unavailable,
    };
    SourceError::new(class, "reading the domain database")
}

/// The commonest ones in words.
fn meaning(code: &str) -> &'static str {
    match code {
        "42P01" => " (there is no such table)",
        "42703" => " (there is no such column)",
        "42501" => " (the role may not read that)",
        "42601" => " (it is no SQL)",
        _ => "",
    }
}

/// The class of an SQLSTATE.
fn class_of_code(code: &str) -> SourceClass {
    match code {
        // A statement that was cancelled, and a lock that was not to be had.
        "57014" | "55P03" | "25P03" | "25P04" => SourceClass::Timeout,
        _ => match code.get(..2).unwrap_or_default() {
            // Connections, resources, shutdowns, and conflicts that another try may not meet.
            "08" | "53" | "57" | "58" | "40" | "XX" => SourceClass::Unavailable,
            // A value that the statement cannot work with.
            "22" | "21" => SourceClass::Malformed,
            // Signing in, rights, statements and all the rest.
            _ => SourceClass::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_url_is_said_when_it_is_wrong_or_shown() {
        let settings = DomainSettings::new("postgres://role:hunter2@:wrong:/x");
        let error = Domain::new(&settings).map(|_| ()).unwrap_err();
        assert!(!format!("{error} {error:?} {settings:?}").contains("hunter2"));
    }

    #[test]
    fn every_sqlstate_has_a_class() {
        for (code, class) in [
            ("57014", SourceClass::Timeout),
            ("55P03", SourceClass::Timeout),
            ("57P01", SourceClass::Unavailable),
            ("53300", SourceClass::Unavailable),
            ("08006", SourceClass::Unavailable),
            ("42501", SourceClass::Refused),
            ("42P01", SourceClass::Refused),
            ("28P01", SourceClass::Refused),
            ("25006", SourceClass::Refused),
            ("22P02", SourceClass::Malformed),
            ("", SourceClass::Refused),
        ] {
            assert_eq!(class_of_code(code), class, "{code}");
        }
    }
}

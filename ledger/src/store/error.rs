//! What goes wrong with a database, in the ledger's terms.

use sqlx::error::DatabaseError;

use super::{postgres, sqlite};
use crate::archive::Archived;

/// What goes wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was there first. Load again and decide again.
    #[error("the database refused a second writer of the same place")]
    Conflict(#[source] sqlx::Error),
    /// It cannot be reached or is too busy. Trying again may help.
    #[error("the database cannot be reached or is too busy")]
    Unavailable(#[source] sqlx::Error),
    /// What is stored cannot be what was written, or the statement does not fit the tables.
    #[error("the database answered something that cannot be: {0}")]
    Corrupt(String),
    /// A body is in an archive that cannot be read from here.
    #[error(transparent)]
    Archived(Box<Archived>),
    /// A setting would lose what was acknowledged.
    #[error("the database is not safe for a ledger: {0}")]
    Unsafe(String),
    /// The tables could not be brought to this version.
    #[error("the database could not be brought to this version's tables")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) if inner.is_unique_violation() => {
                StoreError::Conflict(error)
            }
            sqlx::Error::Database(inner) if is_passing(&**inner) => StoreError::Unavailable(error),
            sqlx::Error::Database(inner) if sqlite::is_taken(&**inner) => {
                StoreError::Conflict(error)
            }
            sqlx::Error::Database(_) => StoreError::Corrupt(error.to_string()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => StoreError::Unavailable(error),
            _ => StoreError::Corrupt(error.to_string()),
        }
    }
}

/// Whether the same statement may succeed later.
fn is_passing(error: &dyn DatabaseError) -> bool {
    postgres::is_passing(error) || sqlite::is_passing(error)
}

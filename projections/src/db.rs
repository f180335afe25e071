//! One code for both databases: a transaction of either, and lists of values as statements.

mod rows;

use std::path::Path;

use runledger_ledger::store::{Store, StoreError};
use sqlx::{Postgres, Sqlite, Transaction};

pub(crate) use self::rows::{Keys, Rows, Sought};

/// A transaction on the database of the read models.
pub(crate) enum Tx {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

impl Tx {
    /// Begins to write.
    pub(crate) async fn begin(store: &Store) -> Result<Self, StoreError> {
        // Rows and checkpoint are written to the disk together and in order, so a crash loses at
        // most the last pages whole, and they are folded again. Nobody has to wait for the disk.
        const RELAXED: &str = "BEGIN; SET LOCAL synchronous_commit TO OFF";
        Ok(match store {
            Store::Postgres(store) => Tx::Postgres(store.pool().begin_with(RELAXED).await?),
            Store::Sqlite(store) => Tx::Sqlite(store.begin_relaxed().await?),
        })
    }

    /// Begins to read: everything that is read in it is of one moment of the database.
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        match store {
            Store::Postgres(store) => Ok(Tx::Postgres(store.pool().begin_with(SNAPSHOT).await?)),
            Store::Sqlite(store) => Ok(Tx::Sqlite(store.readers().begin().await?)),
        }
    }

    /// Commits: others see it from now on.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Tx::Postgres(tx) => tx.commit().await?,
            Tx::Sqlite(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// Makes PostgreSQL count the rows that there are, and plan by them from now on.
pub(crate) async fn count_rows(store: &Store) -> Result<(), StoreError> {
    if let Some(pool) = store.postgres() {
        // The columns by which rows are looked for; the wide ones say nothing and cost most.
        const COUNT: &str = "ANALYZE \
             runs (workspace_id, generation, run_id, operation, subject, queue, status, outcome, \
                   actionability, dispatched_at, key, item_key, follow_up, success, open), \
             events (workspace_id, position, aggregate_type, aggregate_id, sequence, event_type, \
                     recorded_at), \
             follow_up_items (workspace_id, generation, item_key, last_settled_at), \
             subjects (workspace_id, generation, subject_key)";
        sqlx::query(COUNT).execute(pool).await?;
    }
    Ok(())
}

/// Copies an SQLite database, as it is at one moment, into a file that is not there yet.
pub(crate) async fn copy_into(store: &Store, path: &Path) -> Result<(), StoreError> {
    let (Some((writer, _)), Some(path)) = (store.sqlite(), path.to_str()) else {
        let problem = format!("no SQLite database can be copied to {}", path.display());
        return Err(StoreError::Corrupt(problem));
    };
    sqlx::query("VACUUM INTO $1").bind(path).execute(writer).await?;
    Ok(())
}

/// Runs `$body` with `$connection` bound to the transaction's connection, and `Db` to its database.
macro_rules! on_tx {
    ($tx:expr, |$connection:ident| $body:expr) => {
        match $tx {
            $crate::db::Tx::Postgres(tx) => {
                type Db = sqlx::Postgres;
                let _ = std::marker::PhantomData::<Db>;
                let $connection = &mut **tx;
                $body
            }
            $crate::db::Tx::Sqlite(tx) => {
                type Db = sqlx::Sqlite;
                let _ = std::marker::PhantomData::<Db>;
                let $connection = &mut **tx;
                $body
            }
        }
    };
}
pub(crate) use on_tx;

/// Runs `$body` with `$pool` bound to a pool that reads, and `Db` to its database.
macro_rules! on_store {
    ($store:expr, |$pool:ident| $body:expr) => {
        match $store {
            runledger_ledger::store::Store::Postgres(store) => {
                type Db = sqlx::Postgres;
                let _ = std::marker::PhantomData::<Db>;
                let $pool = store.pool();
                $body
            }
            runledger_ledger::store::Store::Sqlite(store) => {
                type Db = sqlx::Sqlite;
                let _ = std::marker::PhantomData::<Db>;
                let $pool = store.readers();
                $body
            }
        }
    };
}
pub(crate) use on_store;

/// Most keys of a list in one statement of SQLite.
pub(crate) const LIST: usize = 512;
/// Most rows in one statement of SQLite: longer ones are slow to prepare.
pub(crate) const ROWS: usize = 64;

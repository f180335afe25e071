//! One code for both databases: a transaction of either, and lists of values as statements.

mod rows;

use std::path::Path;

use runledger_ledger::store::{Begin, Scope, Store, StoreError};
use runledger_ledger::words::WorkspaceId;
use sqlx::{PgPool, Postgres, Sqlite, Transaction};

pub(crate) use self::rows::{Keys, Rows, Sought};

/// A transaction on the database of the read models.
pub(crate) enum Tx {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

impl Tx {
    /// Begins to write the rows of one workspace.
    pub(crate) async fn begin(store: &Store, workspace: WorkspaceId) -> Result<Self, StoreError> {
        // Rows and checkpoint are written to the disk together and in order, so a crash loses at
        // most the last pages whole, and they are folded again. Nobody has to wait for the disk.
        Ok(match store {
            Store::Postgres(store) => {
                Tx::Postgres(store.begin_in(Begin::Relaxed, workspace.into()).await?)
            }
            Store::Sqlite(store) => Tx::Sqlite(store.begin_relaxed().await?),
        })
    }

    /// Begins to read the rows of one workspace: everything that is read in it is of one moment of
    /// the database.
    pub(crate) async fn read(store: &Store, workspace: WorkspaceId) -> Result<Self, StoreError> {
        Tx::read_in(store, workspace.into()).await
    }

    /// The same, in a scope.
    pub(crate) async fn read_in(store: &Store, scope: Scope) -> Result<Self, StoreError> {
        Ok(match store {
            Store::Postgres(store) => Tx::Postgres(store.begin_in(Begin::Snapshot, scope).await?),
            Store::Sqlite(store) => Tx::Sqlite(store.readers().begin().await?),
        })
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
    match store.postgres() {
        Some(pool) => count_in(pool).await.map_err(StoreError::from),
        None => Ok(()),
    }
}

/// The same beside what goes on: nobody waits for it, and if it fails nothing is lost but speed.
pub(crate) fn count_rows_meanwhile(store: &Store) {
    if let Some(pool) = store.postgres().cloned() {
        tokio::spawn(async move {
            if let Err(error) = count_in(&pool).await {
                tracing::warn!(%error, "the rows could not be counted; plans may be slow");
            }
        });
    }
}

async fn count_in(pool: &PgPool) -> Result<(), sqlx::Error> {
    // Only the owner of the tables may count, and lends this to the service.
    const COUNT: &str = "SELECT count_rows()";
    sqlx::query(COUNT).execute(pool).await.map(drop)
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

/// Runs `$body` with `$connection` bound to a connection that reads what `$scope` shows, and `Db` to
/// its database.
macro_rules! on_store {
    ($store:expr, $scope:expr, |$connection:ident| $body:expr) => {
        match $store {
            runledger_ledger::store::Store::Postgres(store) => {
                type Db = sqlx::Postgres;
                let _ = std::marker::PhantomData::<Db>;
                let reading = runledger_ledger::store::Begin::Reading;
                let mut transaction = store.begin_in(reading, $scope.into()).await?;
                let $connection = &mut *transaction;
                $body
            }
            runledger_ledger::store::Store::Sqlite(store) => {
                type Db = sqlx::Sqlite;
                let _ = std::marker::PhantomData::<Db>;
                let mut connection = store.readers().acquire().await?;
                let $connection = &mut *connection;
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

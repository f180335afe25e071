//! One code for both databases: a transaction of either, and lists of values as statements.

mod rows;

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
        if let Some(pool) = store.postgres() {
            return Ok(Tx::Postgres(pool.begin_with(RELAXED).await?));
        }
        match store.sqlite() {
            Some((writer, _)) => Ok(Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)),
            None => Err(StoreError::Corrupt("the store is neither of the two databases".into())),
        }
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
        sqlx::query("ANALYZE runs, events, follow_up_items, subjects").execute(pool).await?;
    }
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

/// Most values of a list in one statement.
pub(crate) const LIST: usize = 512;

/// `items` in pieces whose lengths are powers of two, so that a few prepared statements serve
/// every number of rows.
pub(crate) fn pieces<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let most = items.len().min(LIST);
        if most == 0 {
            return None;
        }
        let length = 1 << most.ilog2();
        let (piece, rest) = items.split_at(length);
        items = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_everything_in_order_in_few_lengths() {
        for count in [0, 1, 3, 511, 512, 513, 1_300] {
            let items: Vec<usize> = (0..count).collect();
            let pieces: Vec<&[usize]> = pieces(&items).collect();
            assert_eq!(pieces.concat(), items);
            assert!(pieces.iter().all(|piece| piece.len().is_power_of_two()));
        }
    }
}

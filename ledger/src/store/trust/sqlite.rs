//! SQLite: settings, triggers, and who may write the file.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::SqlitePool;

use super::{Danger, Trust};
use crate::store::StoreError;
use crate::store::sqlite::SqliteStore;

const TRIGGERS: &str = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'";

pub(super) async fn look(store: &SqliteStore) -> Result<Trust, StoreError> {
    let mut trust = Trust::default();
    settings(store, &mut trust).await?;
    let (there, made) = (triggers(store.writer()).await?, SqliteStore::made_triggers().await?);
    for (name, (table, sql)) in &made {
        let how = match there.get(name) {
            Some((_, found)) if found == sql => continue,
            Some(_) => "is not the one that the migrations make",
            None => "is missing",
        };
        trust.fault(
            Danger::Triggers,
            format!(
                "the trigger {name} of the table {table} {how}, so history there could be changed; \
                 verify the log (`runledger verify database`), then make it again from \
                 migrations/sqlite"
            ),
        );
    }
    for (name, (table, _)) in there.iter().filter(|(name, _)| !made.contains_key(*name)) {
        trust.fault(
            Danger::Triggers,
            format!(
                "the trigger {name} stands at the table {table}, which no migration makes: what is \
                 recorded there may be something else; verify the log (`runledger verify database`), \
                 then DROP TRIGGER {name}"
            ),
        );
    }
    if let Some(path) = store.path() {
        file(path, &mut trust);
    }
    Ok(trust)
}

/// Each trigger with its table and its text.
pub(in crate::store) type Triggers = BTreeMap<String, (String, String)>;

pub(in crate::store) async fn triggers(pool: &SqlitePool) -> Result<Triggers, StoreError> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(TRIGGERS).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(name, table, sql)| (name, (table, sql))).collect())
}

async fn settings(store: &SqliteStore, trust: &mut Trust) -> Result<(), StoreError> {
    // A transaction that must be durable says so itself: what it finds is what counts.
    let mut transaction = store.begin_durable().await?;
    let synchronous: i64 =
        sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *transaction).await?;
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *transaction).await?;
    let keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *transaction).await?;
    transaction.rollback().await?;
    if synchronous < 2 {
        trust.fault(
            Danger::Durability,
            format!(
                "SQLite runs with synchronous={synchronous}, so an acknowledged event could be \
                 lost; a ledger needs FULL (2)"
            ),
        );
    }
    if journal != "wal" {
        trust.fault(
            Danger::Durability,
            format!(
                "SQLite runs with journal_mode={journal}, and a ledger needs wal; put the file on a \
                 local file system that allows it"
            ),
        );
    }
    if keys != 1 {
        let off = "SQLite runs with foreign_keys off; a ledger runs with them on";
        trust.fault(Danger::Durability, off);
    }
    Ok(())
}

/// Whether anybody but its owner may write the file, or read it.
#[cfg(unix)]
fn file(path: &Path, trust: &mut Trust) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(found) = std::fs::metadata(path) else { return };
    let (mode, name) = (found.permissions().mode() & 0o777, path.display());
    if mode & 0o022 != 0 {
        trust.fault(
            Danger::File,
            format!(
                "the file {name} may be written by others than its owner (mode {mode:03o}), who \
                 could change history past every trigger; chmod 600 {name}"
            ),
        );
    } else if mode & 0o055 != 0 {
        trust.note(format!(
            "the file {name} may be read by others than its owner (mode {mode:03o}); chmod 600 {name}"
        ));
    }
}

/// The same where files have no such bits.
#[cfg(not(unix))]
fn file(_path: &Path, _trust: &mut Trust) {}

//! SQLite: settings, triggers, and who may write the file.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::SqlitePool;

use super::{Danger, Trust};
use crate::store::StoreError;
use crate::store::sqlite::{MIGRATIONS, SqliteStore};

/// The triggers, and the tables of the log with their indexes. SQLite keeps the text that made each.
const SCHEMA: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' \
     OR type IN ('table', 'index') AND sql IS NOT NULL \
        AND tbl_name IN ('events', 'heads', 'checkpoints', 'tile_hashes', 'workspaces')";
const APPLIED: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";

pub(super) async fn look(store: &SqliteStore) -> Result<Trust, StoreError> {
    let mut trust = Trust::default();
    settings(store, &mut trust).await?;
    let applied: Vec<(i64,)> = sqlx::query_as(APPLIED).fetch_all(store.writer()).await?;
    trust.unknown(&MIGRATIONS, &applied);
    let (there, made) = (schema(store.writer()).await?, SqliteStore::made_schema().await?);
    for (made, Text { table, sql }) in &made {
        let how = match there.get(made) {
            Some(found) if found.sql == *sql => continue,
            Some(_) => "is not the one that the migrations make",
            None => "is missing",
        };
        let what = made.of(table);
        trust.fault(
            Danger::Triggers,
            format!(
                "{what} {how}, so history there could be changed; \
                 verify the log (`runledger verify database`), then make it again from \
                 migrations/sqlite"
            ),
        );
    }
    // Another index is somebody's own affair, unless it refuses rows.
    let refuses = |kind: &str, sql: &str| kind == "trigger" || sql.starts_with("CREATE UNIQUE");
    let others = there.iter().filter(|(it, text)| {
        !made.contains_key(*it) && (it.kind != "table" && refuses(&it.kind, &text.sql))
    });
    for (it @ Piece { kind, name }, Text { table, .. }) in others {
        let kind_of = kind.to_uppercase();
        let what = match kind.as_str() {
            "trigger" => format!("the trigger {name} stands at the table {table}"),
            _ => it.of(table),
        };
        trust.fault(
            Danger::Triggers,
            format!(
                "{what}, which no migration makes: what is \
                 recorded there may be something else; verify the log (`runledger verify database`), \
                 then DROP {kind_of} {name}"
            ),
        );
    }
    if let Some(path) = store.path() {
        file(path, &mut trust);
    }
    Ok(trust)
}

/// A trigger, a table or an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Piece {
    kind: String,
    name: String,
}

impl Piece {
    fn of(&self, table: &str) -> String {
        let Piece { kind, name } = self;
        if name == table {
            format!("the table {name}")
        } else {
            format!("the {kind} {name} of the table {table}")
        }
    }
}

/// The table that it is of, and the text that made it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Text {
    table: String,
    sql: String,
}

pub(in crate::store) type Schema = BTreeMap<Piece, Text>;

pub(in crate::store) async fn schema(pool: &SqlitePool) -> Result<Schema, StoreError> {
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as(SCHEMA).fetch_all(pool).await?;
    let piece = |(kind, name, table, sql)| (Piece { kind, name }, Text { table, sql });
    Ok(rows.into_iter().map(piece).collect())
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

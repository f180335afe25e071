//! Whether a database can be trusted with a ledger (specs/0019): what a server looks at before it
//! begins, and now and then while it runs. Each thing found is one sentence: what, where, what to do.

mod guard;
mod postgres;
pub(super) mod sqlite;

use sqlx::migrate::Migrator;

use super::{Store, StoreError};

pub(super) use guard::{guard, unguard};

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Danger {
    /// A setting by which an acknowledged event could be lost.
    Durability,
    /// The service could do what it must not: change history, or switch off what refuses it.
    Role,
    /// The service cannot do what it must.
    Rights,
    /// What refuses to change history is not there, or not as it was made.
    Triggers,
    /// What keeps workspaces apart is not there.
    RowSecurity,
    /// Somebody has rights that no setup gives.
    Grants,
    /// It is a copy of a database, and takes nothing.
    Standby,
    /// Others may write its file.
    File,
}

impl Danger {
    /// The name by which it may be waived; none if it may not.
    pub const fn waiver(self) -> Option<&'static str> {
        match self {
            Danger::Durability => Some("durability"),
            Danger::Role => Some("database-role"),
            _ => None,
        }
    }
}

/// Something for which a server does not begin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Of which kind it is.
    pub danger: Danger,
    /// What, where, and what to do.
    pub sentence: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// For these a server does not begin.
    pub faults: Vec<Fault>,
    /// What is worth knowing of the rest.
    pub notes: Vec<String>,
}

impl Trust {
    fn fault(&mut self, danger: Danger, sentence: impl Into<String>) {
        self.faults.push(Fault { danger, sentence: sentence.into() });
    }

    /// Says which migrations were applied that this version does not know. It runs without them.
    fn unknown(&mut self, known: &Migrator, applied: &[(i64,)]) {
        let is_known = |version: i64| known.iter().any(|made| made.version == version);
        let others = applied.iter().filter(|(version,)| !is_known(*version));
        let others: Vec<String> = others.map(|(version,)| format!("{version:04}")).collect();
        if !others.is_empty() {
            let others = others.join(", ");
            self.note(format!(
                "the migrations {others} are noted as applied, and this version does not know them: a \
                 newer version was here, or somebody has added rows to _sqlx_migrations"
            ));
        }
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

impl Store {
    /// Looks at the settings, triggers, rights and role of the connections that append, or at the
    /// file. What is made to be lost (scratch files, memory) is not looked at.
    ///
    /// # Errors
    /// When the database fails. What is not as it should be is no error.
    pub async fn trust(&self) -> Result<Trust, StoreError> {
        let mut trust = match self {
            Store::Postgres(store) => postgres::look(store.writers()).await?,
            Store::Sqlite(store) if store.is_durable() => sqlite::look(store).await?,
            Store::Sqlite(_) => Trust::default(),
        };
        trust.faults.sort();
        Ok(trust)
    }
}

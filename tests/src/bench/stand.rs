//! Where measurements happen: one private PostgreSQL that flushes, and files for SQLite on the
//! same disk. Each measurement gets a database of its own.

use std::path::Path;

use anyhow::Context as _;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::words::{Name, WorkspaceId};
use tempfile::TempDir;

use crate::cluster::{Cluster, Durability};

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// PostgreSQL, `fsync` on.
    Postgres,
    /// A SQLite file, WAL, `synchronous=FULL`.
    Sqlite,
}

impl Database {
    /// Both.
    pub const ALL: [Database; 2] = [Database::Postgres, Database::Sqlite];

    /// Its name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Database::Postgres => "PostgreSQL",
            Database::Sqlite => "SQLite",
        }
    }
}

/// The cluster and the directory of the files.
#[derive(Debug)]
pub struct Stand {
    cluster: Cluster,
    files: TempDir,
}

/// A ledger with one workspace in a fresh database.
#[derive(Debug)]
pub struct Site {
    /// The ledger.
    pub ledger: Ledger,
    /// Its one workspace.
    pub workspace: WorkspaceId,
    /// Its database, under the role of a service.
    pub url: StoreUrl,
    /// The same for its superuser, on PostgreSQL.
    pub admin: Option<String>,
}

impl Stand {
    /// Starts the cluster.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or no directory to be had.
    pub fn start() -> anyhow::Result<Self> {
        let cluster = Cluster::start(Durability::On)?;
        Ok(Stand { cluster, files: tempfile::tempdir().context("no directory")? })
    }

    /// The URL of a fresh PostgreSQL database.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn postgres(&self) -> anyhow::Result<String> {
        Ok(self.cluster.create_database().await?)
    }

    /// A directory for files that nothing else uses.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self) -> anyhow::Result<TempDir> {
        tempfile::tempdir_in(self.files.path()).context("no directory")
    }

    /// Where the files are.
    pub fn files(&self) -> &Path {
        self.files.path()
    }

    /// A ledger in a fresh database.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn site(&self, database: Database) -> anyhow::Result<Site> {
        self.site_at(database, Clock::system()).await
    }

    /// The same, on a clock of the caller's.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn site_at(&self, database: Database, clock: Clock) -> anyhow::Result<Site> {
        let mut admin = None;
        let url = match database {
            Database::Postgres => {
                let url = admin.insert(self.postgres().await?);
                StoreUrl::Postgres(crate::database::prepare(url).await?)
            }
            Database::Sqlite => StoreUrl::SqliteFile(self.directory()?.keep().join("ledger.db")),
        };
        let store = Store::open(&url).await?;
        let ledger = Ledger::new(store, clock, Entropy::system());
        let workspace = ledger.create_workspace(&Name::new("main")?, &Catalog::built_in()).await?;
        Ok(Site { ledger, workspace, url, admin })
    }
}

impl Site {
    /// Closes the connections and frees the disk.
    ///
    /// # Errors
    /// When the database is not let go.
    pub async fn close(self) -> anyhow::Result<()> {
        self.ledger.store().close().await;
        match &self.url {
            StoreUrl::Postgres(url) => {
                crate::database::drop_database(self.admin.as_ref().unwrap_or(url)).await?;
            }
            StoreUrl::SqliteFile(path) | StoreUrl::SqliteScratch(path) => {
                if let Some(directory) = path.parent() {
                    std::fs::remove_dir_all(directory).context("a directory stays")?;
                }
            }
            StoreUrl::SqliteMemory => {}
        }
        Ok(())
    }
}

//! The server, as a process of its own: this very program serves when it is told to, with the same
//! code as `runledger serve`.

use anyhow::Context as _;
use runledger_ledger::store::StoreUrl;

use super::stand::{Database, Site, Stand};
use crate::process::ServerProcess;

/// A running server, and a ledger that makes ids for what is sent to it.
#[derive(Debug)]
pub struct Served {
    /// The process.
    pub server: ServerProcess,
    /// Its database, seen from here.
    pub site: Site,
}

impl Served {
    /// A server over a fresh database with the workspace `main`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(stand: &Stand, database: Database) -> anyhow::Result<Self> {
        Served::over(stand, stand.site(database).await?).await
    }

    /// A server over the database of a site.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn over(stand: &Stand, site: Site) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program is nowhere")?;
        let program = program.to_str().context("this program has a strange name")?;
        let server = match &site.url {
            StoreUrl::Postgres(url) => {
                // The same for every server of the site: it holds the key that signs its log.
                let directory = stand.files().join(site.workspace.to_string());
                ServerProcess::start(program, &directory, Some(url)).await?
            }
            StoreUrl::SqliteFile(file) | StoreUrl::SqliteScratch(file) => {
                let directory = file.parent().context("a file is in no directory")?;
                ServerProcess::start(program, directory, None).await?
            }
            StoreUrl::SqliteMemory => anyhow::bail!("nobody else sees this memory"),
        };
        Ok(Served { server, site })
    }

    /// Megabytes resident now, and at most so far.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn memory(&self) -> anyhow::Result<(f64, f64)> {
        let id = self.server.id().context("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let read = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok());
            kilobytes.map(|kilobytes: f64| kilobytes / 1_024.0)
        };
        read("VmRSS:").zip(read("VmHWM:")).context("no memory in the status")
    }

    /// Kills the server and gives the site back.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn stop(self) -> anyhow::Result<Site> {
        self.server.kill().await?;
        Ok(self.site)
    }
}

//! `runledger rebuild`, and what it shares with `verify`: work on the database itself, beside a
//! server or without one.

use anyhow::Context;
use runledger_ledger::archive::Archives;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::tree;
use runledger_ledger::words::WorkspaceId;
use runledger_projections::Projections;
use serde::Serialize;

use super::progress::Bar;
use super::{Answer, Unusable, block_on, output};
use crate::server;
use crate::settings::{Flags, Settings};

/// Derive the read models again from the log, and put them in place of the present ones.
///
/// A server may run meanwhile: it answers from the present read models until the new ones have
/// caught up with the log. Nothing of the log is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger rebuild
  runledger rebuild --workspace main --database-url postgres://runledger@db/ledger

Exit codes: 0 rebuilt; 1 failed; 2 the command line or a setting cannot be used")]
pub(super) struct Rebuild {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

/// What was rebuilt.
#[derive(Serialize)]
struct Rebuilt {
    workspaces: Vec<RebuiltOne>,
}

#[derive(Serialize)]
struct RebuiltOne {
    workspace: String,
    /// Events that its read models follow from.
    events: u64,
}

/// Which workspaces are meant.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// A workspace; may be given several times [default: all]
    #[arg(long, short, value_name = "NAME")]
    workspace: Vec<String>,
}

/// Which database is meant: the same settings as those of `runledger serve`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which database")]
pub(super) struct Database {
    /// The data directory of the server [env: RUNLEDGER_DATA_DIR]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// postgres://… or sqlite:FILE [env: RUNLEDGER_DATABASE_URL] [default: ledger.db in the data
    /// directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The settings file of the server [env: RUNLEDGER_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// A directory below which archives are looked for, or an archive; may be given several times
    /// [env: RUNLEDGER_ARCHIVES]
    #[arg(long, value_name = "DIRECTORY")]
    archive: Vec<std::path::PathBuf>,
}

pub(super) fn rebuild(arguments: &Rebuild) -> anyhow::Result<Answer> {
    block_on(async {
        let projections = arguments.database.open().await?;
        let mut workspaces = Vec::new();
        for (id, name) in arguments.which.find(projections.ledger().store()).await? {
            let bar = Bar::new(&name);
            let folded = projections
                .rebuild(id, &|progress| bar.at(progress.folded, progress.size))
                .await
                .with_context(|| format!("the workspace {name} was not rebuilt"))?;
            drop(bar);
            if !arguments.json {
                output::line(format!("{name}: rebuilt from {folded} events"));
            }
            workspaces.push(RebuiltOne { workspace: name, events: folded });
        }
        projections.ledger().store().close().await;
        if arguments.json {
            output::line(serde_json::to_string_pretty(&Rebuilt { workspaces })?);
        }
        Ok(Answer::Yes)
    })
}

impl Database {
    /// The settings of the server that it belongs to.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let flags = Flags {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            ..Flags::default()
        };
        Ok(Settings::resolve(&flags, &|name| std::env::var(name).ok())?)
    }

    /// Opens it; one that is not there is not made.
    pub(super) async fn open(&self) -> anyhow::Result<Projections> {
        let settings = self.settings()?;
        self.must_be_there(&settings)?;
        let store = server::open(&settings.database).await?;
        let directories = self.archive.iter().chain(&settings.archives).cloned().collect();
        let store = store.with_archives(Archives::below(directories));
        tree::fill_new(&store).await?;
        let ledger = Ledger::new(store, Clock::system(), Entropy::system());
        Ok(Projections::new(ledger)?)
    }

    /// Opens it to look at it, and changes nothing in it: what is missing is for whoever looks to tell.
    pub(super) async fn open_as_it_is(&self) -> anyhow::Result<Projections> {
        let settings = self.settings()?;
        self.must_be_there(&settings)?;
        let store = server::open_as_it_is(&settings.database).await?;
        let directories = self.archive.iter().chain(&settings.archives).cloned().collect();
        let store = store.with_archives(Archives::below(directories));
        Ok(Projections::new(Ledger::new(store, Clock::system(), Entropy::system()))?)
    }

    /// Opening a file that is not there would make an empty ledger, and find nothing wrong.
    pub(super) fn must_be_there(&self, settings: &Settings) -> anyhow::Result<()> {
        if let StoreUrl::SqliteFile(path) = &settings.database
            && !path.is_file()
        {
            let path = path.display();
            return Err(anyhow::Error::new(Unusable(format!(
                "there is no ledger in {path}; name the server's data directory with --data-dir, \
                 or its database with --database-url"
            ))));
        }
        Ok(())
    }
}

impl Which {
    /// The one workspace that is meant.
    pub(super) async fn one(&self, store: &Store) -> anyhow::Result<(WorkspaceId, String)> {
        let mut found = self.find(store).await?;
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(Unusable("name one workspace with --workspace".to_owned()).into()),
        }
    }

    /// Whether none is named, so that all are meant.
    pub(super) const fn is_all(&self) -> bool {
        self.workspace.is_empty()
    }

    /// The workspaces that are meant, by name.
    pub(super) async fn find(&self, store: &Store) -> anyhow::Result<Vec<(WorkspaceId, String)>> {
        let there = store.workspaces().await?;
        if self.workspace.is_empty() {
            return Ok(there);
        }
        let find = |wanted: &String| {
            let found = there.iter().find(|(_, name)| name == wanted);
            found.cloned().ok_or_else(|| {
                let names: Vec<&str> = there.iter().map(|(_, name)| name.as_str()).collect();
                let names = names.join(", ");
                let what = format!("there is no workspace {wanted:?}; there are: {names}");
                anyhow::Error::new(Unusable(what))
            })
        };
        self.workspace.iter().map(find).collect()
    }
}

//! `runledger archive`: bodies of a closed range leave the database for a directory, verified, and can
//! come back.

use std::path::PathBuf;

use anyhow::Context;
use runledger_ledger::archive::{self, Archive, ArchiveState, Order, Until};
use runledger_ledger::event::Actor;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Note, WorkspaceId};
use runledger_projections::Projections;
use runledger_proof::archive::{ArchiveError, Verified};
use serde::Serialize;

use super::maintenance::{Database, Which};
use super::progress::Bar;
use super::said::Said;
use super::table::{Cell, Row, Table};
use super::{Answer, block_on, output};
use crate::server;
use crate::signing_key::KeySource;

const TOOL: &str = concat!("runledger ", env!("CARGO_PKG_VERSION"));
/// A day, in seconds.
const DAY: i64 = 86_400;

/// What may be done about archives.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Export(Export),
    Verify(Verify),
    Drop(Change),
    Restore(Change),
    List(List),
}

/// Write a closed range of a log into a directory: entries, hashes and a signed checkpoint.
///
/// The range begins where the last archive ends, and holds whole tiles of 256 events that a checkpoint
/// covers. Nothing is changed in the database. The directory is verified before it gets its name; one
/// that was interrupted is gone on with, and nothing that is there already is written over.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("until").required(true).args(["before", "through"]),
    after_help = "\
Examples:
  runledger archive export --workspace main --before 2026-01-01T00:00:00Z --to /srv/archives/main-2025
  runledger archive verify /srv/archives/main-2025 --policy trust.policy
  runledger archive drop /srv/archives/main-2025 --workspace main --by 'Ada' --reason 'kept for a year'"
)]
pub(super) struct Export {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// What was recorded before this time
    #[arg(long, value_name = "TIME")]
    before: Option<Moment>,
    /// Everything up to this position
    #[arg(long, value_name = "POSITION")]
    through: Option<u64>,
    /// The directory to write
    #[arg(long, value_name = "DIRECTORY")]
    to: PathBuf,
}

/// Verify an archive: every file, entry and hash, up to the root that its checkpoint signs. No server
/// and no database is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 all is intact; 1 something differs; 2 a file is missing, or the command line cannot be \
used; 3 nobody whom the policy trusts has signed it")]
pub(super) struct Verify {
    /// The directory
    directory: PathBuf,
    /// Whom to trust: a policy file that is not from the archive
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

/// Take bodies of an archive's range out of the database (`drop`), or put them back (`restore`).
///
/// The directory is verified first, and every entry compared with the hash that the database has. The
/// log says who did it, why, where the archive is, and its digest. Leaf hashes, tiles and proofs stay.
/// Bodies of runs that have not ended stay too, and so does what the log is checked by: events of the
/// workspace, of erasures and of archives.
///
/// On PostgreSQL the service may not: name a role that is a member of runledger_eraser.
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// The directory of the archive; it is where the bodies are read from afterwards
    directory: PathBuf,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    said: Said,
    /// The ledger's PostgreSQL database, as a role that is a member of runledger_eraser
    #[arg(long, value_name = "URL", env = "RUNLEDGER_ERASER_URL", hide_env_values = true)]
    eraser_url: Option<String>,
}

/// Show which ranges are archived and where, and what is due (`archive_after_days`).
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    match command {
        Command::Export(export) => block_on(write(export)),
        Command::Verify(verify) => self::verify(verify),
        Command::Drop(change) => block_on(let_go(change)),
        Command::Restore(change) => block_on(put_back(change)),
        Command::List(list) => block_on(show(list)),
    }
}

async fn write(export: &Export) -> anyhow::Result<Answer> {
    let settings = export.database.settings()?;
    let keys = KeySource::find(&settings.data_dir, |name| std::env::var(name).ok()).load()?;
    let projections = export.database.open().await?;
    let store = projections.ledger().store();
    let (workspace, name) = export.which.one(store).await?;
    let keys = keys.verifiers(workspace);
    let mut policy: String = keys.iter().map(|key| format!("log {key}\n")).collect();
    policy.push_str("quorum none\n");
    let until = match (export.before, export.through) {
        (Some(moment), _) => Until::Before(moment),
        (None, position) => Until::Through(position.unwrap_or_default()),
    };
    let directory = &export.to;
    let order = Order { workspace, name: &name, until, directory, policy: &policy, tool: TOOL };
    let bar = Bar::new("writing the archive");
    let written = archive::export(store, &order, &|done, of| bar.at(done, of)).await;
    drop(bar);
    let written = written.context("the archive was not written")?;
    store.close().await;
    let what = if written.was_there { "was there already" } else { "written" };
    print(&export.to.display().to_string(), what, &written.verified);
    Ok(Answer::Yes)
}

fn print(directory: &str, what: &str, verified: &Verified) {
    let manifest = &verified.manifest;
    let (from, to) = (manifest.from, manifest.to);
    output::line(format!(
        "{directory}: {what}; positions {from} to {} of {} ({} events), under a checkpoint of {} events",
        to - 1,
        manifest.origin,
        to - from,
        manifest.size
    ));
    output::line(format!("  sha256 {}", verified.digest));
    output::line(Cell::new(format!("  root {}", manifest.root)).dim());
}

fn verify(arguments: &Verify) -> anyhow::Result<Answer> {
    let policy = super::verify::policy(&arguments.policy)?;
    let name = arguments.directory.display();
    let verified = match archive::verify(&arguments.directory, Some(&policy)) {
        Ok(verified) => verified,
        Err(ArchiveError::Distrust(distrust)) => {
            return Ok(super::verify::distrusted("the checkpoint", &distrust));
        }
        Err(error) => {
            output::line(format!("{name}: {error}"));
            return Ok(Answer::Incomplete);
        }
    };
    if !is_whole(&name.to_string(), &verified) {
        let altered = !verified.differences.is_empty();
        return Ok(if altered { Answer::No } else { Answer::Incomplete });
    }
    print(&name.to_string(), "intact", &verified);
    for file in archive::unlisted(&arguments.directory, &verified.manifest)? {
        output::line(format!(
            "  the file {file} is beside it and no part of it: no manifest names it, nobody has signed it"
        ));
    }
    super::verify::print_erased(&verified.erased.erased);
    Ok(Answer::Yes)
}

/// Whether an archive is what was written, all of it; says where it is not.
fn is_whole(name: &str, verified: &Verified) -> bool {
    for difference in &verified.differences {
        output::line(format!("{name}: {difference}"));
    }
    for missing in &verified.missing {
        output::line(format!("{name}: the file {missing} is missing"));
    }
    verified.differences.is_empty() && verified.missing.is_empty()
}

/// What a change needs: who, why, and somebody who may.
struct Changing {
    projections: Projections,
    workspace: WorkspaceId,
    name: String,
    actor: Actor,
    reason: Note,
    /// A connection of its own, where one was named.
    eraser: Option<Store>,
}

impl Changing {
    async fn begin(change: &Change) -> anyhow::Result<Changing> {
        let (actor, reason) = change.said.checked()?;
        let projections = change.database.open().await?;
        let (workspace, name) = change.which.one(projections.ledger().store()).await?;
        let eraser = match &change.eraser_url {
            Some(url) => Some(server::open(&StoreUrl::Postgres(url.clone())).await?),
            None => None,
        };
        Ok(Changing { projections, workspace, name, actor, reason, eraser })
    }

    fn store(&self) -> &Store {
        self.projections.ledger().store()
    }

    /// Who may change bodies.
    async fn may(&self) -> anyhow::Result<&Store> {
        let may = self.eraser.as_ref().unwrap_or_else(|| self.store());
        if !may.may_erase().await? {
            return Err(archive::ArchiveError::NotHere.into());
        }
        Ok(may)
    }

    async fn end(self) {
        self.store().close().await;
        if let Some(eraser) = self.eraser {
            eraser.close().await;
        }
    }
}

async fn let_go(change: &Change) -> anyhow::Result<Answer> {
    let begun = Changing::begin(change).await?;
    let (ledger, workspace, actor) = (begun.projections.ledger(), begun.workspace, &begun.actor);
    // Before the log says anything.
    let may = begun.may().await?;
    let directory = &change.directory;
    let verified = archive::verify(directory, None).context("the archive cannot be verified")?;
    let position = begun.projections.position(workspace).await.unwrap_or_default();
    // Of an archive of another log something else is said.
    let ours = verified.manifest.workspace == workspace.to_string();
    anyhow::ensure!(
        !ours || position >= verified.manifest.to,
        "the read models of {} have come to position {position} and need the bodies up to {}; let a \
         server catch up first",
        begun.name,
        verified.manifest.to
    );
    let reason = begun.reason.clone();
    let ordered = archive::order(ledger, workspace, directory, reason, actor).await;
    let ordered = ordered.context("nothing was dropped")?;
    let place = PathBuf::from(ordered.ordered.place.as_str());
    let bar = Bar::new("dropping bodies");
    let stores = (begun.store(), may);
    let tell = |done, of| bar.at(done, of);
    let dropped = archive::drop_bodies(stores, workspace, &ordered, &place, &tell).await;
    drop(bar);
    dropped.context("not all bodies were dropped; the same command goes on with it")?;
    let done = archive::complete(ledger, workspace, &ordered, actor).await?;
    let bodies = done.dropped.map_or(0, |(bodies, _)| bodies);
    output::line(format!(
        "{}: {bodies} bodies of positions {} to {} are read from {} now; hashes and proofs stay",
        begun.name,
        done.ordered.from,
        done.ordered.to - 1,
        done.ordered.place
    ));
    output::line(format!("  archive {}, sha256 {}", done.id, done.ordered.digest));
    begun.end().await;
    Ok(Answer::Yes)
}

async fn put_back(change: &Change) -> anyhow::Result<Answer> {
    let begun = Changing::begin(change).await?;
    let (ledger, workspace, actor) = (begun.projections.ledger(), begun.workspace, &begun.actor);
    let may = begun.may().await?;
    let verified = archive::verify(&change.directory, None);
    let verified = verified.context("the archive cannot be verified")?;
    let name = change.directory.display();
    if !is_whole(&name.to_string(), &verified) {
        output::note("nothing was put back: put a whole copy of the archive there first");
        return Ok(Answer::No);
    }
    let found = archive::find(begun.store(), workspace, &verified.digest).await?;
    let found = found.ok_or(archive::ArchiveError::Unknown)?;
    let bar = Bar::new("putting bodies back");
    let tell = |done, of| bar.at(done, of);
    archive::restore(may, workspace, &found, &change.directory, &tell)
        .await
        .context("not all bodies were put back; the same command goes on with it")?;
    drop(bar);
    let said = (found.dropped.map_or(0, |(bodies, _)| bodies), begun.reason.clone());
    archive::restored(ledger, workspace, &found, said, actor).await?;
    output::line(format!(
        "{}: the bodies of positions {} to {} are in the database again",
        begun.name,
        found.ordered.from,
        found.ordered.to - 1
    ));
    begun.end().await;
    Ok(Answer::Yes)
}

/// What is archived of a workspace, and what is due.
#[derive(Serialize)]
struct Listed {
    workspace: String,
    archives: Vec<Item>,
    /// What is older than the settings say, and is in no archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Due>,
}

#[derive(Serialize)]
struct Item {
    id: String,
    state: ArchiveState,
    from: u64,
    /// The position after the last one, as everywhere in JSON; people are shown the last one.
    to: u64,
    bodies: Option<u64>,
    place: String,
    sha256: String,
    root: String,
    checkpoint_size: u64,
    reason: String,
    ordered_by: Option<String>,
    ordered_at: String,
}

#[derive(Serialize)]
struct Due {
    from: u64,
    to: u64,
    before: String,
}

impl From<Archive> for Item {
    fn from(archive: Archive) -> Self {
        let state = archive.state();
        let ordered = archive.ordered;
        Item {
            id: archive.id.to_string(),
            state,
            from: ordered.from,
            to: ordered.to,
            bodies: archive.dropped.map(|(bodies, _)| bodies),
            place: ordered.place.to_string(),
            sha256: ordered.digest,
            root: ordered.root,
            checkpoint_size: ordered.size,
            reason: ordered.reason.to_string(),
            ordered_by: archive.ordered_by.map(|actor| actor.id.to_string()),
            ordered_at: archive.ordered_at.to_string(),
        }
    }
}

async fn show(list: &List) -> anyhow::Result<Answer> {
    let days = list.database.settings()?.archive_after_days;
    let projections = list.database.open().await?;
    let (ledger, store) = (projections.ledger(), projections.ledger().store());
    let mut all = Vec::new();
    for (id, workspace) in list.which.find(store).await? {
        let archives = archive::list(store, id).await?.into_iter().map(Item::from).collect();
        let due = match days {
            None => None,
            Some(days) => {
                let age = Span::from_secs(DAY * i64::from(days)).micros();
                let before = Moment::from_micros(ledger.now().micros().saturating_sub(age));
                let due = archive::last_due(store, id, before).await?;
                due.map(|(from, to)| Due { from, to, before: before.to_string() })
            }
        };
        all.push(Listed { workspace, archives, due });
    }
    store.close().await;
    if list.json {
        output::line(serde_json::to_string_pretty(&all)?);
        return Ok(Answer::Yes);
    }
    let mut table =
        Table::new(["WORKSPACE", "STATE", "FIRST", "LAST", "BODIES", "BY", "REASON", "PLACE"]);
    for Listed { workspace, archives, .. } in &all {
        for one in archives {
            table.row(Row::of([
                Cell::new(workspace),
                Cell::new(one.state.to_string()),
                Cell::new(one.from.to_string()),
                Cell::new((one.to - 1).to_string()),
                Cell::new(one.bodies.map_or_else(String::new, |bodies| bodies.to_string())),
                Cell::new(one.ordered_by.clone().unwrap_or_default()),
                Cell::new(&one.reason),
                Cell::new(&one.place),
            ]));
        }
    }
    table.lines().iter().for_each(output::line);
    for Listed { workspace, due, .. } in &all {
        if let Some(Due { from, to, before }) = due {
            output::line(format!(
                "{workspace}: positions {from} to {} are due (recorded before {before}); `runledger \
                 archive export --workspace {workspace} --before {before} --to DIRECTORY`",
                to - 1
            ));
        }
    }
    Ok(Answer::Yes)
}

//! `runledger verify database`: the log, the tree, the checkpoints and the read models, where they
//! lie.

use std::path::PathBuf;

use anyhow::Context;
use runledger_ledger::audit::{self, ArchivedRange};
use runledger_ledger::store::trust::{Danger, Fault};
use runledger_ledger::store::{Integrity, Store};
use runledger_ledger::words::WorkspaceId;
use runledger_projections::{
    Difference, ProjectionError, Projections, Verification, VerifyProgress, VerifyStep,
};
use serde::Serialize;

use super::super::maintenance::{Database, Which};
use super::super::progress::Bar;
use super::super::table::Cell;
use super::super::{Answer, block_on, output};
use super::evidence::{Evidence, Trusted};

/// Recompute the tree and every read model from the log, and say where anything differs.
///
/// The database is asked as well whether its indexes are whole, and the names of the workspaces are
/// compared with what their logs say.
///
/// The log is also compared with what was signed of it: with the checkpoints in the database, with
/// what the server wrote down in its data directory, and with checkpoints that are handed in.
///
/// A server may run meanwhile. Nothing of the ledger is changed.
#[derive(Debug, clap::Args)]
pub(super) struct OfDatabase {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// Whom to trust: a policy file [default: checkpoints count whoever signed them]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A checkpoint that somebody kept; may be given several times
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

impl OfDatabase {
    pub(super) const fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn checkpoints(&self) -> &[PathBuf] {
        &self.checkpoint
    }

    pub(super) const fn policy(&self) -> Option<&PathBuf> {
        self.policy.as_ref()
    }
}

/// What was found in one workspace.
#[derive(Serialize)]
struct Found {
    workspace: String,
    #[serde(flatten)]
    verification: Verification,
    read_models: ReadModels,
    signed: Trusted,
}

/// How far the read models of a workspace have come.
#[derive(Clone, Copy, Debug, Serialize)]
struct ReadModels {
    /// Events that they hold; none if there are no read models yet.
    events: Option<u64>,
    /// Events of the log that they do not hold yet.
    behind: u64,
}

/// What the database says of itself.
#[derive(Serialize)]
struct Itself {
    /// What is wrong with its indexes, in its own words.
    indexes: Vec<String>,
    /// Why they were not checked, if they were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    indexes_unchecked: Option<String>,
    /// Where the directory of workspaces says something else than the logs, or than what was signed.
    directory: Vec<String>,
    /// What keeps history from being changed and is not as it was made: triggers, functions, keys, rights,
    /// row-level security.
    /// Somebody has taken it away, and what came after the last checkpoint could be anything.
    altered: Vec<String>,
    /// Why it is not safe for a ledger now. That says nothing of what is recorded. (Who verifies may
    /// well be its administrator, so of the role nothing is said.)
    #[serde(rename = "unsafe", skip_serializing_if = "Vec::is_empty")]
    not_safe: Vec<String>,
    /// What is worth knowing of it beside that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Serialize)]
struct All {
    intact: bool,
    database: Itself,
    workspaces: Vec<Found>,
}

pub(super) fn run(verify: &OfDatabase) -> anyhow::Result<Answer> {
    let evidence = Evidence::new(verify)?;
    block_on(async {
        let projections = verify.database.open_as_it_is().await?;
        let store = projections.ledger().store();
        let mut database = of_database(store).await?;
        if verify.which.is_all() {
            let settings = verify.database.settings()?;
            database.directory.extend(evidence.lost(store, &settings).await?);
        }
        if !verify.json {
            database.print();
        }
        let mut workspaces = Vec::new();
        for (id, workspace) in verify.which.find(store).await? {
            let mut found = look_at(&projections, id, workspace).await?;
            let rights = audit::rights(store, id).await?;
            found.verification.differences.extend(rights.into_iter().map(difference));
            found.add(evidence.compare(store, id).await?);
            if !verify.json {
                found.print();
            }
            workspaces.push(found);
        }
        store.close().await;
        let answers: Vec<Answer> = workspaces.iter().map(Found::answer).collect();
        let intact = database.is_intact() && workspaces.iter().all(Found::is_intact);
        if verify.json {
            let all = All { intact, database, workspaces };
            output::line(serde_json::to_string_pretty(&all)?);
        }
        let trusted = answers.into_iter().find(|answer| *answer != Answer::Yes);
        Ok(if intact { trusted.unwrap_or(Answer::Yes) } else { Answer::No })
    })
}

async fn of_database(store: &Store) -> anyhow::Result<Itself> {
    let bar = Bar::new("checking the database's indexes");
    bar.at(0, 1);
    let Integrity { problems, unchecked } =
        store.check_indexes().await.context("the database's indexes could not be checked")?;
    drop(bar);
    let directory = store.check_directory().await;
    let directory = directory.context("the directory of workspaces could not be checked")?;
    let trust = store.trust().await.context("the database's settings could not be looked at")?;
    let faults = trust.faults.into_iter().filter(|fault| fault.danger != Danger::Role);
    let guards = |danger| matches!(danger, Danger::Triggers | Danger::RowSecurity | Danger::Grants);
    let (altered, not_safe): (Vec<_>, Vec<_>) = faults.partition(|fault| guards(fault.danger));
    let sentences = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.sentence).collect();
    let (altered, not_safe) = (sentences(altered), sentences(not_safe));
    let notes = trust.notes;
    let indexes = problems;
    Ok(Itself { indexes, indexes_unchecked: unchecked, directory, altered, not_safe, notes })
}

async fn look_at(
    projections: &Projections,
    id: WorkspaceId,
    workspace: String,
) -> anyhow::Result<Found> {
    let failed = || format!("the workspace {workspace} could not be verified");
    let bar = Bar::new(&workspace);
    let tell = |progress| show(&bar, &workspace, progress);
    let verification = match projections.verify(id, &tell).await {
        // A workspace that was made a moment ago, or just before its server died.
        Err(ProjectionError::NoModel) => {
            log_alone(projections.ledger().store(), id).await.with_context(failed)?
        }
        verification => verification.with_context(failed)?,
    };
    drop(bar);
    let events = match projections.position(id).await {
        Ok(position) => Some(position),
        Err(ProjectionError::NoModel) => None,
        Err(error) => return Err(error).with_context(failed),
    };
    let behind = verification.events.saturating_sub(events.unwrap_or_default());
    let (read_models, signed) = (ReadModels { events, behind }, Trusted::default());
    Ok(Found { workspace, verification, read_models, signed })
}

/// The log of a workspace, where there is nothing yet to compare with it.
async fn log_alone(store: &Store, id: WorkspaceId) -> anyhow::Result<Verification> {
    let log = audit::audit(store, id, &|_, _| {}).await?.context("it has a name and no log")?;
    Ok(Verification {
        events: log.size,
        root: hex::encode(log.root),
        differences: log.flaws.into_iter().map(difference).collect(),
        more: log.more,
        erased: log.erased,
        archived: log.archived,
        ..Verification::default()
    })
}

fn difference(flaw: audit::Flaw) -> Difference {
    Difference::Log { position: flaw.position, problem: flaw.problem.to_string() }
}

fn show(bar: &Bar, workspace: &str, progress: VerifyProgress) {
    let step = match progress.step {
        VerifyStep::Log => "checking the log",
        VerifyStep::Derive => "deriving the read models",
        VerifyStep::Compare => "comparing rows",
    };
    bar.step(format!("{workspace}: {step}"));
    bar.at(progress.done, progress.of);
}

impl Itself {
    fn is_intact(&self) -> bool {
        self.indexes.is_empty() && self.directory.is_empty() && self.altered.is_empty()
    }

    fn print(&self) {
        for problem in self.indexes.iter().chain(&self.directory).chain(&self.altered) {
            output::line(Cell::new(format!("the database: {problem}")));
        }
        for fault in &self.not_safe {
            output::note(format!("the database is not safe for a ledger: {fault}"));
        }
        for note in &self.notes {
            output::note(format!("the database: {note}"));
        }
        if let Some(why) = &self.indexes_unchecked {
            output::note(format!("the database's indexes were not checked: {why}"));
        }
    }
}

impl Found {
    /// What the comparison with what was signed has found.
    fn add(&mut self, (flaws, signed): (Vec<audit::Flaw>, Trusted)) {
        self.verification.differences.extend(flaws.into_iter().map(difference));
        self.signed = signed;
    }

    fn is_intact(&self) -> bool {
        let nothing_to_compare = self.read_models.events.is_none();
        self.verification.is_intact()
            || (nothing_to_compare && self.verification.differences.is_empty())
    }

    /// Whether something that belongs to it could not be read, or not be compared.
    fn is_unread(&self) -> bool {
        let unread = |range: &ArchivedRange| range.verified < range.bodies;
        self.verification.not_compared.is_some() || self.verification.archived.iter().any(unread)
    }

    /// What the shell is told of it if it is intact.
    fn answer(&self) -> Answer {
        match self.signed.answer() {
            Answer::Yes if self.is_unread() => Answer::Incomplete,
            answer => answer,
        }
    }

    fn print(&self) {
        let Found { workspace, verification, read_models, signed } = self;
        let Verification { events, root, rows, differences, more, not_compared, .. } = verification;
        if self.is_intact() {
            let rows = match (read_models.events, rows) {
                (None, _) => "no read models yet".to_owned(),
                (Some(_), None) if not_compared.is_some() => {
                    "read models that were not compared".to_owned()
                }
                (Some(_), rows) => {
                    let rows = rows.unwrap_or_default();
                    format!("and {rows} rows of read models that follow from them")
                }
            };
            let intact = if self.is_unread() { "intact as far as it was read" } else { "intact" };
            output::line(format!("{workspace}: {intact}; {events} events, {rows}"));
            output::line(Cell::new(format!("  root {root}")).dim());
            super::print_erased(&verification.erased);
            verification.archived.iter().for_each(super::print_archived);
            if let Some(why) = not_compared {
                output::line(format!("  the read models were not compared: {why}"));
            }
            signed.print();
            self.print_lag();
            return;
        }
        for difference in differences {
            output::line(Cell::new(format!("{workspace}: {difference}")));
        }
        if *more > 0 {
            output::line(format!("{workspace}: and {more} more differences"));
        }
        self.print_lag();
        if rows.is_none() {
            output::note(format!(
                "{workspace}: the read models were not compared: nothing can follow from a damaged \
                 log"
            ));
        }
        let all = u64::try_from(differences.len()).unwrap_or(u64::MAX).saturating_add(*more);
        let places = if all == 1 { "place" } else { "places" };
        output::note(format!("{workspace}: differs in {all} {places}, of {events} events"));
    }

    fn print_lag(&self) {
        let ReadModels { events, behind } = self.read_models;
        let (Some(events), 1..) = (events, behind) else { return };
        let reach = match events.checked_sub(1) {
            Some(last) => format!("reach position {last}"),
            None => "hold nothing yet".to_owned(),
        };
        let (workspace, size) = (&self.workspace, self.verification.events);
        output::line(format!(
            "{workspace}: the read models {reach}; the log ends at {}, so {behind} events are not \
             in them yet",
            size.saturating_sub(1)
        ));
    }
}

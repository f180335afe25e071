//! Facets of a list of runs: how many runs each other choice would leave.

use std::collections::BTreeMap;

use runledger_ledger::store::StoreError;
use runledger_ledger::words::{Outcome, Status};

use super::counts::{Kind, count, word};
use super::runs::{RunFilter, counted};
use super::scan::Counted;
use super::statement::Statement;
use crate::db::Tx;
use crate::rules::actionability::{Actionability, is_follow_up};
use crate::rules::freshness::Freshness;
use crate::tables::code;
use crate::view::{Reading, View, ViewError};

/// For each thing that a list may be narrowed by, how many runs each of its values leaves, with
/// everything else that is chosen. What is not counted (subject, queue, text, time, freshness)
/// does not narrow these counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Runs with everything that is chosen.
    pub runs: u64,
    /// Of those, current follow-ups, whatever is chosen of that.
    pub follow_ups: u64,
    /// By status.
    pub status: BTreeMap<Status, u64>,
    /// By outcome.
    pub outcome: BTreeMap<Outcome, u64>,
    /// By freshness. How many an adapter ended is counted as far as [`Counted`] goes; where that is
    /// not all of them, those that ended otherwise are not told.
    pub freshness: BTreeMap<Freshness, Counted>,
    /// By actionability.
    pub actionability: BTreeMap<Actionability, u64>,
    /// By environment; the empty name is the workspace's own runs.
    pub environment: BTreeMap<String, u64>,
    /// By operation type.
    pub operation: BTreeMap<String, u64>,
    /// By family.
    pub family: BTreeMap<String, u64>,
}

/// What runs are counted by.
const DIMENSIONS: usize = 7;

const COUNTS: &str =
    "SELECT environment, operation, family, status, outcome, actionability, runs FROM run_counts";
type CountRow = (String, String, String, i16, i16, i16, i64);

impl View {
    /// The facets of the list that `filter` names. At most four statements: one reads counts and no
    /// runs, one the index of the runs that have not ended, and two that of those an adapter ended.
    pub async fn facets(&self, filter: &RunFilter) -> Result<Facets, ViewError> {
        let mut reading = self.read().await?;
        let catalog = reading.checkpoint.catalog.clone();
        let operation = filter.operation.as_deref().map(|name| catalog.canonical(name));
        let mut statement = Statement::select(COUNTS, reading.model());
        statement.seen("environment", &reading.sight).push(" AND runs > 0");
        let rows: Vec<CountRow> = statement.fetch(&mut reading.tx).await?;
        let (mut facets, mut ended) = (Facets::default(), 0);
        for (environment, of, family, status, outcome, actionability, runs) in rows {
            let kind = Kind::of(status, outcome, actionability)?;
            let follow_up = is_follow_up(kind.actionability);
            let fits: [bool; DIMENSIONS] = [
                filter.environment.as_deref().is_none_or(|wanted| wanted == environment),
                operation.is_none_or(|wanted| wanted == of),
                filter.family.as_deref().is_none_or(|wanted| wanted == family),
                filter.status.is_none_or(|wanted| wanted == kind.status),
                filter.outcome.is_none_or(|wanted| wanted == kind.outcome),
                filter.actionability.is_none_or(|wanted| wanted == kind.actionability),
                filter.follow_up.is_none_or(|wanted| wanted == follow_up),
            ];
            if kind.status == Status::Completed && fits.iter().all(|fits| *fits) {
                ended += count(runs);
            }
            facets.add(fits, (environment, of, family), kind, count(runs));
        }
        facets.freshness = fresh(&mut reading, filter).await?;
        if ended > 0 {
            facets.freshness.extend(over(&mut reading, filter, ended).await?);
        }
        Ok(facets)
    }
}

/// How many of the runs that ended an adapter did end, and how many not.
async fn over(
    reading: &mut Reading,
    filter: &RunFilter,
    ended: u64,
) -> Result<Vec<(Freshness, Counted)>, StoreError> {
    let reconciled = RunFilter {
        freshness: Some(Freshness::ReconciledTerminal),
        overdue: None,
        subject: None,
        queue: None,
        connection: None,
        text: None,
        since: None,
        until: None,
        ..filter.clone()
    };
    let reconciled = counted(reading, &reconciled).await?;
    let others = Counted::exactly(ended.saturating_sub(reconciled.rows));
    let others = (!reconciled.more).then_some((Freshness::Terminal, others));
    Ok(others.into_iter().chain([(Freshness::ReconciledTerminal, reconciled)]).collect())
}

/// Where the deadline of an active run stands at a moment.
const ACTIVE: &str = "SELECT status, CAST(CASE WHEN deadline IS NULL THEN 0 WHEN deadline <= ";

/// How many active runs there are of each freshness, whatever is chosen of that.
async fn fresh(
    reading: &mut Reading,
    filter: &RunFilter,
) -> Result<BTreeMap<Freshness, Counted>, StoreError> {
    let active = filter.outcome.is_none_or(|outcome| outcome == Outcome::Pending)
        && filter.actionability.is_none_or(|status| status == Actionability::NotTerminal)
        && filter.follow_up != Some(true);
    if !active {
        return Ok(BTreeMap::new());
    }
    let catalog = reading.checkpoint.catalog.clone();
    let mut statement = Statement::new(ACTIVE);
    statement.bind(reading.at.micros());
    statement.push(" THEN 2 ELSE 1 END AS bigint), count(*) FROM runs");
    if let Tx::Sqlite(_) = reading.tx {
        statement.push(" INDEXED BY runs_active");
    }
    statement.scope("", reading.model()).push(" AND status < 2");
    if let Some(environment) = filter.environment.as_deref() {
        statement.push(" AND environment = ").bind(environment);
    }
    if let Some(operation) = filter.operation.as_deref() {
        statement.push(" AND operation = ").bind(catalog.canonical(operation));
    }
    if let Some(family) = filter.family.as_deref() {
        statement.push(" AND family = ").bind(family);
    }
    if let Some(status) = filter.status {
        statement.push(" AND status = ").bind(code(Status::ALL, &status));
    }
    statement.seen("environment", &reading.sight).push(" GROUP BY 1, 2");
    let rows: Vec<(i16, i64, i64)> = statement.fetch(&mut reading.tx).await?;
    let mut freshness: BTreeMap<Freshness, Counted> = BTreeMap::new();
    for (status, deadline, runs) in rows {
        let one = match (word(Status::ALL, status)?, deadline) {
            (Status::Completed, _) => continue,
            (_, 0) => Freshness::Unknown,
            (Status::Queued, 1) => Freshness::FreshQueued,
            (Status::Queued, _) => Freshness::StaleQueued,
            (Status::Running, 1) => Freshness::FreshRunning,
            (Status::Running, _) => Freshness::StaleRunning,
        };
        freshness.entry(one).or_default().rows += count(runs);
    }
    Ok(freshness)
}

/// Of an environment (the empty name is the workspace's own runs) and a family: runs that are
/// current follow-ups, and all runs.
pub type FamilyCounts = BTreeMap<(String, String), (u64, u64)>;

const FAMILIES: &str = "SELECT environment, family, actionability, CAST(sum(runs) AS bigint) \
     FROM run_counts";

impl View {
    /// How many runs of each family there are in each environment. One statement; it reads counts
    /// and no runs.
    pub async fn families_by_environment(&self) -> Result<FamilyCounts, ViewError> {
        let mut reading = self.read().await?;
        let mut statement = Statement::select(FAMILIES, reading.model());
        statement.seen("environment", &reading.sight);
        statement.push(" AND runs > 0 GROUP BY environment, family, actionability");
        let rows: Vec<(String, String, i16, i64)> = statement.fetch(&mut reading.tx).await?;
        let mut counts = FamilyCounts::new();
        for (environment, family, actionability, runs) in rows {
            let (open, all) = counts.entry((environment, family)).or_default();
            if is_follow_up(word(Actionability::ALL, actionability)?) {
                *open += count(runs);
            }
            *all += count(runs);
        }
        Ok(counts)
    }
}

impl Facets {
    /// Adds runs of one kind. They count for a value if all other choices fit.
    fn add(
        &mut self,
        fits: [bool; DIMENSIONS],
        (environment, operation, family): (String, String, String),
        kind: Kind,
        runs: u64,
    ) {
        let misfits = fits.iter().filter(|fits| !**fits).count();
        let counts = |dimension: usize| misfits == 0 || (misfits == 1 && !fits[dimension]);
        if misfits == 0 {
            self.runs += runs;
        }
        if counts(0) {
            *self.environment.entry(environment).or_default() += runs;
        }
        if counts(1) {
            *self.operation.entry(operation).or_default() += runs;
        }
        if counts(2) {
            *self.family.entry(family).or_default() += runs;
        }
        if counts(3) {
            *self.status.entry(kind.status).or_default() += runs;
        }
        if counts(4) {
            *self.outcome.entry(kind.outcome).or_default() += runs;
        }
        if counts(5) {
            *self.actionability.entry(kind.actionability).or_default() += runs;
        }
        if counts(6) && is_follow_up(kind.actionability) {
            self.follow_ups += runs;
        }
    }
}

//! Operations: every type of the catalog in force, and every other one that something ran under,
//! with what has become of its runs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use runledger_ledger::catalog::{
    CurrentState, Lifecycle, Operation, OperationScope, Review, Supersession,
};
use runledger_ledger::store::StoreError;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Outcome, RunId, Status};
use serde::{Deserialize, Serialize};

use super::counts::{Kind, count};
use super::statement::Statement;
use crate::fold::End;
use crate::rules::actionability::{Actionability, is_follow_up};
use crate::rules::{rfc3339, seconds};
use crate::texts::Texts;
use crate::view::{Reading, View, ViewError};

/// An operation type: what the catalog says of it, and how its runs went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStanding {
    /// The canonical name.
    pub operation: String,
    /// What people call it; none if the catalog does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether the catalog names it.
    pub classified: bool,
    /// Other names that resolve to it on the way in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What its runs belong to.
    pub scope: OperationScope,
    /// The adapter that can look for proof of its runs' end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The type of the artifact that its runs make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// Its windows.
    pub lifecycle: Windows,
    /// Its family: its policy.
    pub family: FamilyView,
    /// How many runs of each kind there are.
    pub counts: OperationCounts,
    /// Its last ends, the last recorded first: at most [`OperationStanding::RECENT`].
    pub recent: Vec<RecentOutcome>,
}

impl OperationStanding {
    /// Most ends that an operation comes with.
    pub const RECENT: usize = 10;
}

/// The windows of runs. One that is missing is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// How long a run may wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "queue_window_seconds", with = "seconds")]
    pub queue_window: Option<Span>,
    /// How long a run may be silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "run_window_seconds", with = "seconds")]
    pub run_window: Option<Span>,
    /// How long a run stays stale before it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "abandon_after_seconds", with = "seconds")]
    pub abandon_after: Option<Span>,
}

impl From<Lifecycle> for Windows {
    fn from(Lifecycle { queue_window, run_window, abandon_after }: Lifecycle) -> Self {
        Windows { queue_window, run_window, abandon_after }
    }
}

/// A family and its policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyView {
    /// Its name in the catalog.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Which later success makes a problem good.
    pub supersession: Supersession,
    /// Whose present health makes a problem good.
    pub current_state: CurrentState,
    /// Whether proof closes a follow-up, or only a person does.
    pub review: Review,
    /// Whether its problems are for information only.
    pub informational: bool,
    /// All that in words.
    pub policy: String,
}

impl FamilyView {
    /// The family of an operation, in the language of `texts`.
    pub(crate) fn of(operation: &Operation<'_>, texts: &Texts) -> FamilyView {
        let family = operation.family;
        FamilyView {
            name: operation.family_name.to_owned(),
            title: texts.title(&family.title).to_owned(),
            supersession: family.supersession,
            current_state: family.current_state,
            review: family.review,
            informational: family.informational,
            policy: texts.policy(family),
        }
    }
}

/// How many runs of an operation there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCounts {
    /// Runs in all.
    pub runs: u64,
    /// By status; one that is missing is zero.
    pub by_status: BTreeMap<Status, u64>,
    /// By outcome; one that is missing is zero.
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// By actionability; one that is missing is zero.
    pub by_actionability: BTreeMap<Actionability, u64>,
    /// Runs that are current follow-ups.
    pub follow_up_runs: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentOutcome {
    /// Which run.
    pub run_id: RunId,
    /// How, by the first word that was recorded of it.
    pub outcome: Outcome,
    /// When that was recorded.
    #[serde(with = "rfc3339")]
    pub recorded_at: Moment,
    /// The environment of the run; none is the workspace's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

impl View {
    /// Every operation type of the catalog in force, in its order, then those that it does not
    /// name, by name; their runs in the workspace, or in one environment of it (the empty name is
    /// the workspace's own). Three statements.
    pub async fn operations(
        &self,
        environment: Option<&str>,
    ) -> Result<Vec<OperationStanding>, ViewError> {
        operation_standings(&mut self.read().await?, environment).await
    }
}

/// The same in a reading that has begun. Two statements.
pub(super) async fn operation_standings(
    reading: &mut Reading,
    environment: Option<&str>,
) -> Result<Vec<OperationStanding>, ViewError> {
    let mut counts = counts(reading, environment).await?;
    let mut recent = recent(reading, environment).await?;
    let catalog = &reading.checkpoint.catalog;
    let named: Vec<Operation<'_>> = catalog.operations().collect();
    let known: BTreeSet<&str> = named.iter().map(|operation| operation.name).collect();
    let others: Vec<String> =
        counts.keys().filter(|name| !known.contains(name.as_str())).cloned().collect();
    // By the catalog in force: what another one called an operation may be an alias now.
    let others = others.iter().map(|name| Operation { name, ..catalog.operation(name) });
    let standings = named.into_iter().chain(others).map(|operation| {
        let counts = counts.remove(operation.name).unwrap_or_default();
        let recent = recent.remove(operation.name).unwrap_or_default();
        let owner = reading.owners.get(operation.name).map(String::as_str);
        let adapter = operation.adapter.or(owner).map(str::to_owned);
        let standing = standing(&operation, counts, recent, reading.texts);
        OperationStanding { adapter, ..standing }
    });
    Ok(standings.collect())
}

fn standing(
    operation: &Operation<'_>,
    counts: OperationCounts,
    recent: Vec<RecentOutcome>,
    texts: &Texts,
) -> OperationStanding {
    OperationStanding {
        operation: operation.name.to_owned(),
        title: operation.title.map(|title| texts.title(title).to_owned()),
        classified: operation.classified,
        aliases: operation.aliases.to_vec(),
        scope: operation.scope,
        adapter: operation.adapter.map(str::to_owned),
        artifact: operation.artifact.map(str::to_owned),
        lifecycle: operation.lifecycle.into(),
        family: FamilyView::of(operation, texts),
        counts,
        recent,
    }
}

const RUNS: &str = "SELECT operation, status, outcome, actionability, \
     CAST(sum(runs) AS bigint) FROM run_counts";
const RECENT: &str = "SELECT operation, environment, recent FROM operation_outcomes";

async fn counts(
    reading: &mut Reading,
    environment: Option<&str>,
) -> Result<BTreeMap<String, OperationCounts>, StoreError> {
    let mut statement = Statement::select(RUNS, reading.model());
    if let Some(environment) = environment {
        statement.push(" AND environment = ").bind(environment);
    }
    statement.seen("environment", &reading.sight);
    statement.push(" AND runs > 0 GROUP BY operation, status, outcome, actionability");
    let rows: Vec<(String, i16, i16, i16, i64)> = statement.fetch(&mut reading.tx).await?;
    let mut counts: BTreeMap<String, OperationCounts> = BTreeMap::new();
    for (operation, status, outcome, actionability, runs) in rows {
        let kind = Kind::of(status, outcome, actionability)?;
        counts.entry(operation).or_default().add(kind, count(runs));
    }
    Ok(counts)
}

impl OperationCounts {
    fn add(&mut self, kind: Kind, runs: u64) {
        self.runs += runs;
        *self.by_status.entry(kind.status).or_default() += runs;
        *self.by_outcome.entry(kind.outcome).or_default() += runs;
        *self.by_actionability.entry(kind.actionability).or_default() += runs;
        if is_follow_up(kind.actionability) {
            self.follow_up_runs += runs;
        }
    }
}

async fn recent(
    reading: &mut Reading,
    environment: Option<&str>,
) -> Result<BTreeMap<String, Vec<RecentOutcome>>, StoreError> {
    let mut statement = Statement::select(RECENT, reading.model());
    if let Some(environment) = environment {
        statement.push(" AND environment = ").bind(environment);
    }
    statement.seen("environment", &reading.sight);
    let rows: Vec<(String, String, String)> = statement.fetch(&mut reading.tx).await?;
    let mut recent: BTreeMap<String, Vec<RecentOutcome>> = BTreeMap::new();
    for (operation, environment, ends) in rows {
        let ends: Vec<End> = serde_json::from_str(&ends).map_err(|error| {
            StoreError::Corrupt(format!("the last ends of {operation} cannot be read: {error}"))
        })?;
        let environment = Some(environment).filter(|environment| !environment.is_empty());
        let ends = ends.into_iter().map(|(run_id, outcome, recorded_at)| RecentOutcome {
            run_id,
            outcome,
            recorded_at,
            environment: environment.clone(),
        });
        // Stored in the order of the log; the sort below keeps it among equal times.
        recent.entry(operation).or_default().extend(ends.into_iter().rev());
    }
    for ends in recent.values_mut() {
        ends.sort_by_key(|end| Reverse(end.recorded_at));
        ends.truncate(OperationStanding::RECENT);
    }
    Ok(recent)
}

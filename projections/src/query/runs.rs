//! Lists of runs, the newest first.

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Outcome, Status, Subject};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::named::named_runs;
use super::page::{ListHash, Page, PageRequest};
use super::scan::{Condition, Counted, Order, Placed, Scan};
use crate::db::Tx;
use crate::rules::actionability::Actionability;
use crate::rules::freshness::Freshness;
use crate::rules::rfc3339;
use crate::rules::standing::Standing;
use crate::tables::{RunRow, code};
use crate::view::{Reading, View, ViewError};

/// Which runs a list holds: those for which everything that is given here is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunFilter {
    /// Queued, running or completed.
    pub status: Option<Status>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Inside its window or past it, at the moment of the view.
    pub freshness: Option<Freshness>,
    /// Whether it has not ended and is past its deadline (true), or inside it (false), at the moment
    /// of the view. One without a deadline is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue: Option<bool>,
    /// Whether it needs a person, and if not, why not.
    pub actionability: Option<Actionability>,
    /// Whether it is a current follow-up.
    pub follow_up: Option<bool>,
    /// Operation type, or an alias of one in the catalog in force.
    pub operation: Option<String>,
    /// Family, by the catalog in force.
    pub family: Option<String>,
    /// Environment; the empty name is the workspace's own runs.
    pub environment: Option<String>,
    /// What it acts on.
    pub subject: Option<Subject>,
    /// The queue that it names.
    pub queue: Option<String>,
    /// That queue's connection; the empty name is none.
    pub connection: Option<String>,
    /// A part of its id, operation, subject, environment, fingerprint, queue, connection, job
    /// class, initiator, worker, reason code or of an external id, in upper or lower case. A whole
    /// run id that is known finds that run and nothing else, and so does its end of twelve digits or more.
    pub text: Option<String>,
    /// Dispatched at this moment or later.
    #[serde(with = "rfc3339::option")]
    pub since: Option<Moment>,
    /// Dispatched before this moment.
    #[serde(with = "rfc3339::option")]
    pub until: Option<Moment>,
    /// Left the list of what needs a person at this moment or later. A list of those begins with the
    /// one that left last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub left_since: Option<Moment>,
}

impl View {
    /// A page of the runs that `filter` names, the newest dispatch first, of equals the greater id.
    ///
    /// One index serves the list, and what else the filter asks is looked for in a window of
    /// 6,000 rows of it: see [`Page::scanned_to`].
    pub async fn runs(
        &self,
        filter: &RunFilter,
        request: &PageRequest,
    ) -> Result<Page<Standing>, ViewError> {
        request.checked_limit()?;
        let mut reading = self.read().await?;
        let list = ListHash::new(self.workspace(), "runs", filter);
        let named = match request.cursor {
            None => named_runs(&mut reading, filter).await?,
            Some(_) => Vec::new(),
        };
        let page = match named.len() {
            1.. if named.len() <= usize::from(request.limit) => {
                Page { items: named, next: None, scanned_to: None }
            }
            _ if filter.left_since.is_some() => {
                let Page { items, next, scanned_to } =
                    scan(&reading, filter).page::<Left>(&mut reading, &list, request).await?;
                Page { items: items.into_iter().map(|left| left.row).collect(), next, scanned_to }
            }
            _ => scan(&reading, filter).page(&mut reading, &list, request).await?,
        };
        let Page { items, next, scanned_to } = page;
        let items: Vec<RunRow> = items;
        Ok(Page { items: reading.standings(&items).await?, next, scanned_to })
    }
}

impl View {
    /// How many runs `filter` names, as far as they are counted: see [`Counted`]. At most three
    /// statements.
    pub async fn count_runs(&self, filter: &RunFilter) -> Result<Counted, ViewError> {
        let mut reading = self.read().await?;
        let named = named_runs(&mut reading, filter).await?;
        if !named.is_empty() {
            return Ok(Counted::exactly(u64::try_from(named.len()).unwrap_or(u64::MAX)));
        }
        Ok(counted(&mut reading, filter).await?)
    }
}

/// How many runs a filter names, as far as they are counted.
pub(super) async fn counted(
    reading: &mut Reading,
    filter: &RunFilter,
) -> Result<Counted, StoreError> {
    const COUNT: &str = "SELECT count(*) FROM (SELECT run_id FROM runs";
    scan(reading, filter).count::<Uuid>(reading, COUNT).await
}

/// The columns of the order of lists of runs.
const ORDER: Order = Order {
    time: "dispatched_at",
    pair: "(dispatched_at, run_id)",
    by: "dispatched_at DESC, run_id DESC",
    ascending: false,
};

/// The columns of the order in which runs left the list of what needs a person.
const LEAVING: Order = Order {
    time: "left_at",
    pair: "(left_at, run_id)",
    by: "left_at DESC, run_id DESC",
    ascending: false,
};

/// A run in that order.
#[derive(sqlx::FromRow)]
struct Left {
    #[sqlx(flatten)]
    row: RunRow,
}

impl Placed for Left {
    type Id = Uuid;

    fn place(&self) -> (i64, Uuid) {
        (self.row.left_at.unwrap_or_default(), self.row.run_id)
    }
}

impl Placed for RunRow {
    type Id = Uuid;

    fn place(&self) -> (i64, Uuid) {
        (self.dispatched_at, self.run_id)
    }
}

/// The list of a filter: the condition that keeps fewest rows is served by its index.
fn scan(reading: &Reading, filter: &RunFilter) -> Scan {
    let mut residual = asked(reading, filter);
    // In the order of the list below, the most telling index first.
    let best = residual.iter().filter_map(|condition| condition.index).min();
    let index = match filter.left_since {
        Some(_) => Index::Leaving,
        None => best.unwrap_or(Index::Time),
    };
    let mut driving: Vec<Condition> =
        index.predicate().map(Condition::literal).into_iter().collect();
    if let Some(place) = residual.iter().position(|condition| condition.index == Some(index)) {
        let served = residual.remove(place);
        if !served.only_part {
            driving.push(served.condition);
        } else {
            residual.push(served);
        }
    }
    let residual: Vec<Condition> = residual.into_iter().map(|one| one.condition).collect();
    if let Some(left_since) = filter.left_since {
        return leaving(driving, residual, left_since, filter);
    }
    Scan {
        select: "SELECT * FROM runs",
        select_place: "SELECT dispatched_at, run_id FROM runs",
        index: index.name(),
        order: ORDER,
        driving,
        residual,
        since: filter.since.map(Moment::micros),
        until: filter.until.map(Moment::micros),
    }
}

/// The list of what left since a moment, in its own order; when it was dispatched is one more condition.
fn leaving(
    driving: Vec<Condition>,
    mut residual: Vec<Condition>,
    left_since: Moment,
    filter: &RunFilter,
) -> Scan {
    let dispatched = |sql, moment: Moment| Condition::with(sql, moment.micros());
    residual.extend(filter.since.map(|since| dispatched("dispatched_at >= ", since)));
    residual.extend(filter.until.map(|until| dispatched("dispatched_at < ", until)));
    Scan {
        select: "SELECT * FROM runs",
        select_place: "SELECT left_at, run_id FROM runs",
        index: Index::Leaving.name(),
        order: LEAVING,
        driving,
        residual,
        since: Some(left_since.micros()),
        until: None,
    }
}

/// The indexes that serve lists of runs, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Index {
    Subject,
    Queue,
    Reconciled,
    FollowUp,
    Verdict,
    Outcome,
    Operation,
    Active,
    Time,
    Leaving,
}

impl Index {
    const fn name(self) -> &'static str {
        match self {
            Index::Subject => "runs_by_subject",
            Index::Queue => "runs_by_queue",
            Index::Reconciled => "runs_reconciled",
            Index::FollowUp => "runs_by_follow_up",
            Index::Verdict => "runs_by_verdict",
            Index::Outcome => "runs_by_problem",
            Index::Operation => "runs_by_operation",
            Index::Active => "runs_active",
            Index::Time => "runs_by_time",
            Index::Leaving => "runs_by_leaving",
        }
    }

    /// The predicate of a partial index, in the words of the migration.
    const fn predicate(self) -> Option<&'static str> {
        match self {
            Index::Subject => Some("subject <> ''"),
            Index::Queue => Some("queue <> ''"),
            Index::Reconciled => Some("reconciled"),
            Index::FollowUp => Some("follow_up"),
            Index::Verdict => Some("actionability > 1"),
            Index::Outcome => Some("outcome > 1"),
            Index::Active => Some("status < 2"),
            Index::Leaving => Some("left_at IS NOT NULL"),
            Index::Operation | Index::Time => None,
        }
    }
}

/// The conditions of a filter, whichever index serves them.
pub(super) fn conditions(reading: &Reading, filter: &RunFilter) -> Vec<Condition> {
    asked(reading, filter).into_iter().map(|one| one.condition).collect()
}

/// One thing that a filter asks, and the index that finds it.
struct Asked {
    condition: Condition,
    index: Option<Index>,
    /// Whether the index finds more than is asked.
    only_part: bool,
}

fn asked(reading: &Reading, filter: &RunFilter) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut ask = |condition, index, only_part| asked.push(Asked { condition, index, only_part });
    if let Some(subject) = &filter.subject {
        let condition = Condition::with("subject = ", subject.to_string());
        ask(condition, Some(Index::Subject), false);
    }
    if let Some(queue) = filter.queue.as_deref() {
        // No run is in the queue without a name.
        let index = Some(Index::Queue).filter(|_| !queue.is_empty());
        ask(Condition::with("queue = ", queue), index, false);
    }
    if let Some(connection) = filter.connection.as_deref() {
        ask(Condition::with("connection = ", connection), None, false);
    }
    match filter.follow_up {
        Some(true) => ask(Condition::literal("follow_up"), Some(Index::FollowUp), false),
        Some(false) => ask(Condition::literal("NOT follow_up"), None, false),
        None => {}
    }
    if let Some(actionability) = filter.actionability {
        let code = code(Actionability::ALL, &actionability);
        let index = match actionability {
            Actionability::NotTerminal => Some(Index::Active),
            Actionability::InformationalOnly => None,
            _ => Some(Index::Verdict),
        };
        ask(Condition::with("actionability = ", code), index, index == Some(Index::Active));
    }
    if let Some(outcome) = filter.outcome {
        let index = match outcome {
            Outcome::Pending => Some(Index::Active),
            Outcome::Succeeded => None,
            _ => Some(Index::Outcome),
        };
        let condition = Condition::with("outcome = ", code(Outcome::ALL, &outcome));
        ask(condition, index, index == Some(Index::Active));
    }
    if let Some(operation) = filter.operation.as_deref() {
        let canonical = reading.checkpoint.catalog.canonical(operation);
        ask(Condition::with("operation = ", canonical), Some(Index::Operation), false);
    }
    if let Some(status) = filter.status {
        let index = (status != Status::Completed).then_some(Index::Active);
        ask(Condition::with("status = ", code(Status::ALL, &status)), index, true);
    }
    if let Some(freshness) = filter.freshness {
        asked.extend(fresh(freshness, reading.at));
    }
    if let Some(overdue) = filter.overdue {
        asked.extend(overdue_or_not(overdue, reading.at));
    }
    with_texts(asked, reading, filter)
}

/// A condition that only runs meet which have not ended.
fn active(condition: Condition) -> Asked {
    Asked { condition, index: Some(Index::Active), only_part: true }
}

/// Of the runs that have not ended, those past their deadline, or those inside it.
fn overdue_or_not(overdue: bool, at: Moment) -> [Asked; 2] {
    let is = if overdue { "deadline <= " } else { "deadline > " };
    [active(Condition::literal("status < 2")), active(Condition::with(is, at.micros()))]
}

/// Freshness is a comparison of the deadline with the moment asked about.
fn fresh(freshness: Freshness, at: Moment) -> Vec<Asked> {
    let ended = |condition| Asked { condition, index: None, only_part: false };
    let status = |sql| active(Condition::literal(sql));
    let stale = || active(Condition::with("deadline <= ", at.micros()));
    let inside = || active(Condition::with("deadline > ", at.micros()));
    match freshness {
        Freshness::Unknown => vec![status("status < 2"), status("deadline IS NULL")],
        Freshness::FreshQueued => vec![status("status = 0"), inside()],
        Freshness::StaleQueued => vec![status("status = 0"), stale()],
        Freshness::FreshRunning => vec![status("status = 1"), inside()],
        Freshness::StaleRunning => vec![status("status = 1"), stale()],
        Freshness::ReconciledTerminal => {
            // Only an end is reconciled.
            let condition = Condition::literal("reconciled");
            vec![Asked { condition, index: Some(Index::Reconciled), only_part: false }]
        }
        Freshness::Terminal => {
            let signalled = Condition::literal("NOT reconciled");
            vec![ended(Condition::literal("status = 2")), ended(signalled)]
        }
    }
}

/// What no index serves.
fn with_texts(mut asked: Vec<Asked>, reading: &Reading, filter: &RunFilter) -> Vec<Asked> {
    let mut ask = |condition| asked.push(Asked { condition, index: None, only_part: false });
    if let Some(family) = filter.family.as_deref() {
        ask(Condition::with("family = ", family));
    }
    if let Some(environment) = filter.environment.as_deref() {
        ask(Condition::with("environment = ", environment));
    }
    if let Some(text) = filter.text.as_deref() {
        // Half the time of LIKE with a pattern, in which signs would have a meaning.
        let place = match reading.tx {
            Tx::Postgres(_) => "strpos(search, ",
            Tx::Sqlite(_) => "instr(search, ",
        };
        ask(Condition::with(place, text.trim().to_lowercase()).then(") > 0"));
    }
    asked
}

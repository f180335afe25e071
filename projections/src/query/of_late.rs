//! What happened of late in several workspaces, and what is to be looked at first: as `everywhere`, one
//! statement for each kind, however many they are.

use std::collections::BTreeMap;

use runledger_ledger::store::{Scope, StoreError};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Outcome, RunId, WorkspaceId};
use uuid::Uuid;

use super::counts::{count, word};
use super::recent::{Left, RecentCount, RecentRuns};
use super::statement::Statement;
use crate::db::Tx;
use crate::projections::Projections;
use crate::rules::actionability::Actionability;
use crate::rules::blind::BlindTime;
use crate::rules::queue::{QueueFacts, QueueTruth, QueueVerdict};

/// What happened of late in several workspaces.
#[derive(Clone, Debug, Default)]
pub struct OfLate {
    /// What left the list of what needs a person, in each.
    pub left: BTreeMap<WorkspaceId, Left>,
    /// What was dispatched, in all of them together.
    pub recent: RecentRuns,
    /// How many of those each has, and whether there may be more of them.
    pub dispatched: BTreeMap<WorkspaceId, (u64, bool)>,
    /// How many queues of each verdict each has.
    pub queues: BTreeMap<WorkspaceId, BTreeMap<QueueVerdict, u64>>,
    /// The oldest things to do of all of them.
    pub oldest: Vec<OldestItem>,
    /// The runs that have been overdue for longest.
    pub stale: Vec<StaleRun>,
}

impl OfLate {
    /// Most of the oldest things, and of overdue runs.
    pub const MOST: usize = 6;
}

/// A thing to do of one of several workspaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldestItem {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Why it needs a person.
    pub actionability: Actionability,
    /// Canonical operation type.
    pub operation: String,
    /// What it acts on; the empty text is nothing.
    pub subject: String,
    /// Its environment; the empty text is the workspace itself.
    pub environment: String,
    /// Its runs.
    pub occurrences: u64,
    /// When the first of them settled.
    pub first_settled_at: Moment,
}

/// A run of one of several workspaces that is past its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleRun {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The run.
    pub run_id: RunId,
    /// Canonical operation type.
    pub operation: String,
    /// What it acts on; the empty text is nothing.
    pub subject: String,
    /// Its deadline.
    pub deadline: Moment,
}

// For SQLite. What PostgreSQL is asked stands in the ledger's `store::functions`. Without statistics
// SQLite might walk through the index of some list, so it is told.
const LEFT: &str = "SELECT p.workspace_id, r.actionability, count(*) FROM projections AS p \
     JOIN runs AS r INDEXED BY runs_by_leaving \
     ON r.workspace_id = p.workspace_id AND r.generation = p.generation AND r.left_at IS NOT NULL \
     AND r.left_at >= max(coalesce((SELECT l.left_at FROM runs AS l INDEXED BY runs_by_leaving \
      WHERE l.workspace_id = p.workspace_id AND l.generation = p.generation AND l.left_at IS NOT NULL \
      ORDER BY l.left_at DESC LIMIT 1 OFFSET 4999), 0), ";
const LIVE: &str = " WHERE p.live AND p.workspace_id IN ";
const RECENT: &str = "SELECT p.workspace_id, CAST((r.dispatched_at - ";
const RECENT_FROM: &str = " AS bigint), r.outcome, r.actionability, count(*), min(r.dispatched_at) \
     FROM projections AS p JOIN runs AS r INDEXED BY runs_by_time \
     ON r.workspace_id = p.workspace_id AND r.generation = p.generation \
     AND r.dispatched_at >= max(coalesce((SELECT l.dispatched_at FROM runs AS l INDEXED BY runs_by_time \
      WHERE l.workspace_id = p.workspace_id AND l.generation = p.generation \
      ORDER BY l.dispatched_at DESC LIMIT 1 OFFSET 4999), 0), ";
const QUEUES: &str = "SELECT p.workspace_id, p.blind, q.ever_named, q.last_start, \
     (SELECT count(*) FROM worker_queues AS w WHERE w.workspace_id = q.workspace_id \
      AND w.generation = q.generation AND w.connection = q.connection AND w.queue = q.queue \
      AND w.lease_until > ";
const QUEUES_FROM: &str = "), coalesce(sum(r.run_id IS NOT NULL), 0), min(r.waiting_since), \
     min(r.deadline), min(r.queue_window) FROM projections AS p JOIN queues AS q \
     ON q.workspace_id = p.workspace_id AND q.generation = p.generation \
     LEFT JOIN runs AS r INDEXED BY runs_waiting ON r.workspace_id = q.workspace_id \
     AND r.generation = q.generation AND r.connection = q.connection AND r.queue = q.queue \
     AND r.status = 0";
const BY_QUEUE: &str = " GROUP BY p.workspace_id, q.connection, q.queue";
const OLDEST: &str = "SELECT p.workspace_id, i.actionability, i.operation, i.subject, i.environment, \
     i.occurrences, i.first_settled_at FROM projections AS p JOIN follow_up_items AS i \
     ON i.workspace_id = p.workspace_id AND i.generation = p.generation AND i.item_key IN \
     (SELECT o.item_key FROM follow_up_items AS o INDEXED BY follow_up_items_by_age \
      WHERE o.workspace_id = p.workspace_id AND o.generation = p.generation \
      ORDER BY o.first_settled_at, o.item_key LIMIT 6)";
const STALE: &str = "SELECT p.workspace_id, r.run_id, r.operation, r.subject, r.deadline \
     FROM projections AS p JOIN runs AS r INDEXED BY runs_active \
     ON r.workspace_id = p.workspace_id AND r.generation = p.generation AND r.status < 2 \
     AND r.deadline <= ";

/// Workspace, blind times, ever named, last start, live workers, and what waits: how many, since when,
/// until when, and for how long at most.
type QueueRow = (Uuid, String, bool, Option<i64>, i64, i64, Option<i64>, Option<i64>, Option<i64>);

impl Projections {
    /// What happened in these workspaces since a moment, what was dispatched in pieces of `piece`, and
    /// what is to be looked at first. Five statements.
    pub async fn of_late(
        &self,
        workspaces: &[WorkspaceId],
        since: Moment,
        piece: Span,
    ) -> Result<OfLate, StoreError> {
        let ids: Vec<Uuid> = workspaces.iter().map(|workspace| workspace.0).collect();
        if ids.is_empty() {
            return Ok(OfLate::default());
        }
        let now = self.ledger().now();
        let mut tx = Tx::read_in(self.store(), Scope::Service).await?;
        let left = left(&mut tx, &ids, since).await?;
        let (recent, dispatched) = recent(&mut tx, &ids, since, piece).await?;
        Ok(OfLate {
            left,
            recent,
            dispatched,
            queues: queues(&mut tx, &ids, now).await?,
            oldest: oldest(&mut tx, &ids).await?,
            stale: stale(&mut tx, &ids, now).await?,
        })
    }
}

/// A call of a function of PostgreSQL that takes the workspaces, and what else is pushed behind them.
fn of_each(call: &'static str, ids: &[Uuid]) -> Statement {
    let mut statement = Statement::new(call);
    statement.array(ids);
    statement
}

async fn left(
    tx: &mut Tx,
    ids: &[Uuid],
    since: Moment,
) -> Result<BTreeMap<WorkspaceId, Left>, StoreError> {
    let statement = match tx {
        Tx::Postgres(_) => {
            let mut statement = of_each("SELECT * FROM left_at_a_glance(", ids);
            statement.push(", ").bind(since.micros()).push(")");
            statement
        }
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(LEFT);
            statement.bind(since.micros()).push(")").push(LIVE).list(ids);
            statement.push(" GROUP BY p.workspace_id, r.actionability");
            statement
        }
    };
    let rows: Vec<(Uuid, i16, i64)> = statement.fetch(tx).await?;
    let mut all: BTreeMap<WorkspaceId, Left> = BTreeMap::new();
    for (workspace, actionability, runs) in rows {
        let left = all.entry(WorkspaceId(workspace)).or_default();
        left.runs.insert(word(Actionability::ALL, actionability)?, count(runs));
        left.more = left.runs.values().sum::<u64>() >= RecentRuns::MOST;
    }
    Ok(all)
}

async fn recent(
    tx: &mut Tx,
    ids: &[Uuid],
    since: Moment,
    piece: Span,
) -> Result<(RecentRuns, BTreeMap<WorkspaceId, (u64, bool)>), StoreError> {
    let (since, piece) = (since.micros(), piece.micros().max(1));
    let statement = match tx {
        Tx::Postgres(_) => {
            let mut statement = of_each("SELECT * FROM recent_at_a_glance(", ids);
            statement.push(", ").bind(since).push(", ").bind(piece).push(")");
            statement
        }
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(RECENT);
            statement.bind(since).push(") / ").bind(piece).push(RECENT_FROM).bind(since).push(")");
            statement.push(LIVE).list(ids).push(" GROUP BY 1, 2, 3, 4");
            statement
        }
    };
    let rows: Vec<(Uuid, i64, i16, i16, i64, i64)> = statement.fetch(tx).await?;
    let mut looked: BTreeMap<Uuid, (u64, i64)> = BTreeMap::new();
    let mut runs = Vec::with_capacity(rows.len());
    for (workspace, piece, outcome, actionability, of, oldest) in rows {
        let (all, first) = looked.entry(workspace).or_insert((0, i64::MAX));
        (*all, *first) = (*all + count(of), (*first).min(oldest));
        runs.push(RecentCount {
            piece: count(piece),
            outcome: word(Outcome::ALL, outcome)?,
            actionability: word(Actionability::ALL, actionability)?,
            runs: count(of),
        });
    }
    // Before this not all of them were looked through.
    let cut = looked.values().filter(|(all, _)| *all >= RecentRuns::MOST);
    let scanned_to = cut.map(|(_, first)| Moment::from_micros(*first)).max();
    let of_each = |(workspace, (all, _))| (WorkspaceId(workspace), (all, all >= RecentRuns::MOST));
    Ok((RecentRuns { runs, scanned_to }, looked.into_iter().map(of_each).collect()))
}

async fn queues(
    tx: &mut Tx,
    ids: &[Uuid],
    now: Moment,
) -> Result<BTreeMap<WorkspaceId, BTreeMap<QueueVerdict, u64>>, StoreError> {
    let statement = match tx {
        Tx::Postgres(_) => {
            let mut statement = of_each("SELECT * FROM queues_at_a_glance(", ids);
            statement.push(", ").bind(now.micros()).push(")");
            statement
        }
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(QUEUES);
            statement.bind(now.micros()).push(QUEUES_FROM).push(LIVE).list(ids).push(BY_QUEUE);
            statement
        }
    };
    let rows: Vec<QueueRow> = statement.fetch(tx).await?;
    let mut all: BTreeMap<WorkspaceId, BTreeMap<QueueVerdict, u64>> = BTreeMap::new();
    for (workspace, blind, ever_named, start, live, waiting, since, deadline, shortest) in rows {
        let blind: Vec<(Moment, Moment)> = serde_json::from_str(&blind)
            .map_err(|error| StoreError::Corrupt(format!("stored blind times: {error}")))?;
        let facts = QueueFacts {
            waiting: count(waiting),
            oldest_waiting_since: since.map(Moment::from_micros),
            earliest_deadline: deadline.map(Moment::from_micros),
            shortest_window: shortest.map(Span::from_micros),
            ever_named,
            last_start: start.map(Moment::from_micros),
            live_workers: u32::try_from(live).unwrap_or(u32::MAX),
        };
        let truth = QueueTruth::of(&facts, &[], &BlindTime::new(blind), now);
        *all.entry(WorkspaceId(workspace)).or_default().entry(truth.verdict).or_default() += 1;
    }
    Ok(all)
}

async fn oldest(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<OldestItem>, StoreError> {
    let statement = match tx {
        Tx::Postgres(_) => {
            let mut statement = of_each("SELECT * FROM oldest_at_a_glance(", ids);
            statement.push(")");
            statement
        }
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(OLDEST);
            statement.push(LIVE).list(ids);
            statement
        }
    };
    let rows: Vec<(Uuid, i16, String, String, String, i64, i64)> = statement.fetch(tx).await?;
    let mut all = Vec::with_capacity(rows.len());
    for (workspace, actionability, operation, subject, environment, occurrences, settled) in rows {
        all.push(OldestItem {
            workspace: WorkspaceId(workspace),
            actionability: word(Actionability::ALL, actionability)?,
            operation,
            subject,
            environment,
            occurrences: count(occurrences),
            first_settled_at: Moment::from_micros(settled),
        });
    }
    all.sort_by_key(|item| item.first_settled_at);
    all.truncate(OfLate::MOST);
    Ok(all)
}

async fn stale(tx: &mut Tx, ids: &[Uuid], now: Moment) -> Result<Vec<StaleRun>, StoreError> {
    let statement = match tx {
        Tx::Postgres(_) => {
            let mut statement = of_each("SELECT * FROM stale_at_a_glance(", ids);
            statement.push(", ").bind(now.micros()).push(")");
            statement
        }
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(STALE);
            statement.bind(now.micros()).push(LIVE).list(ids).push(" ORDER BY r.deadline LIMIT 6");
            statement
        }
    };
    let rows: Vec<(Uuid, Uuid, String, String, i64)> = statement.fetch(tx).await?;
    let run = |(workspace, run, operation, subject, deadline)| StaleRun {
        workspace: WorkspaceId(workspace),
        run_id: RunId(run),
        operation,
        subject,
        deadline: Moment::from_micros(deadline),
    };
    let mut all: Vec<StaleRun> = rows.into_iter().map(run).collect();
    all.sort_by_key(|run| run.deadline);
    all.truncate(OfLate::MOST);
    Ok(all)
}

//! Counts: how many runs and things to do there are of each kind, in the workspace and in each of
//! its environments. They are kept by the projector, so no count reads the history.

use std::collections::BTreeMap;

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Outcome, Status};
use serde::{Deserialize, Serialize};

use super::queues::QueueTruths;
use super::statement::Statement;
use crate::db::Tx;
use crate::rules::actionability::Actionability;
use crate::rules::queue::QueueVerdict;
use crate::rules::rfc3339;
use crate::view::{Reading, View, ViewError};

/// How many runs and things to do there are, and since when the oldest of them waits for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Runs in all.
    pub runs: u64,
    /// By status; one that is missing is zero.
    pub by_status: BTreeMap<Status, u64>,
    /// By outcome; one that is missing is zero.
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// By actionability; one that is missing is zero.
    pub by_actionability: BTreeMap<Actionability, u64>,
    /// Runs that wait for a worker.
    pub waiting: u64,
    /// Active runs inside their window.
    pub active_fresh: u64,
    /// Active runs past their window.
    pub active_stale: u64,
    /// Active runs of which no window is known.
    pub active_unknown: u64,
    /// Runs that are current follow-ups: those below together.
    pub follow_up_runs: u64,
    /// Things to do: those below together.
    pub follow_up_items: u64,
    /// What a person must do something about.
    pub actionable: FollowUpCounts,
    /// What a person must look at.
    pub manual_review: FollowUpCounts,
    /// Problems that nobody had to look at: a later success, or what is true now, made them good.
    pub resolved_without_a_person: u64,
    /// Of those, problems that a later success made good.
    pub superseded: u64,
    /// Of those, problems that what is true now made good.
    pub resolved_by_state: u64,
    /// Problems that a person closed.
    pub resolved_by_operator: u64,
}

/// How much of one kind waits for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpCounts {
    /// Runs.
    pub runs: u64,
    /// Things to do.
    pub items: u64,
    /// When the oldest of them settled.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub oldest: Option<Moment>,
}

/// A workspace, or one of its environments, at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The moment.
    #[serde(with = "rfc3339")]
    pub at: Moment,
    /// The environment that is meant; the empty name is the workspace's own runs, none is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// How many there are.
    #[serde(flatten)]
    pub counts: Counts,
    /// Queues of the workspace by verdict; a queue spans environments.
    pub queues: BTreeMap<QueueVerdict, u64>,
    /// How the ledger itself is.
    pub health: Health,
}

/// Where the read models stand against the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Events that the answer is derived from; not told to who sees only some environments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// Events in the log that it does not know yet; told to whom that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Why the read models do not go on, if they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<String>,
}

/// All that who sees only some environments is told of read models that do not go on.
const STANDS_STILL: &str = "an event cannot be folded; an administrator sees which one";

impl Health {
    /// The position of the last event that the answer is derived from, for whom that is told.
    pub fn last(&self) -> Option<u64> {
        self.events?.checked_sub(1)
    }
}

/// An environment, or the workspace's own runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentStanding {
    /// Its name; none is the workspace's own.
    pub environment: Option<String>,
    /// How many there are in it.
    #[serde(flatten)]
    pub counts: Counts,
}

impl View {
    /// The workspace at a glance, or one environment of it; the empty name is the workspace's own
    /// runs. Six statements.
    pub async fn overview(&self, environment: Option<&str>) -> Result<Overview, ViewError> {
        let mut reading = self.read().await?;
        let by_environment = counts(&mut reading, environment).await?;
        let queues = QueueTruths::all(&mut reading).await?;
        let mut verdicts: BTreeMap<QueueVerdict, u64> = BTreeMap::new();
        for queue in queues.standings() {
            *verdicts.entry(queue.truth.verdict).or_default() += 1;
        }
        let mut counts = Counts::default();
        by_environment.values().for_each(|one| counts.add(one));
        Ok(Overview {
            at: reading.at,
            environment: environment.map(str::to_owned),
            counts,
            queues: verdicts,
            health: health(&mut reading).await?,
        })
    }

    /// Where the read models stand against the log. One statement, and of the past none.
    pub async fn health(&self) -> Result<Health, ViewError> {
        Ok(health(&mut self.read().await?).await?)
    }

    /// Every environment in which something ran, by name, the workspace's own runs first if there
    /// are any. Three statements.
    pub async fn environments(&self) -> Result<Vec<EnvironmentStanding>, ViewError> {
        let mut reading = self.read().await?;
        let by_environment = counts(&mut reading, None).await?;
        let standing = |(name, counts): (String, Counts)| EnvironmentStanding {
            environment: Some(name).filter(|name| !name.is_empty()),
            counts,
        };
        Ok(by_environment.into_iter().map(standing).collect())
    }
}

impl Counts {
    /// Several of them together.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Counts>) -> Counts {
        let mut sum = Counts::default();
        all.into_iter().for_each(|one| sum.add(one));
        sum
    }

    /// What waits for a person, by the verdict that says so.
    pub const fn follow_ups(&self) -> [(Actionability, FollowUpCounts); 2] {
        [
            (Actionability::Actionable, self.actionable),
            (Actionability::RequiresManualReview, self.manual_review),
        ]
    }

    /// Adds `runs` runs of one kind.
    pub(super) fn add_runs(&mut self, kind: Kind, runs: u64) {
        self.runs += runs;
        *self.by_status.entry(kind.status).or_default() += runs;
        *self.by_outcome.entry(kind.outcome).or_default() += runs;
        *self.by_actionability.entry(kind.actionability).or_default() += runs;
        if kind.status == Status::Queued {
            self.waiting += runs;
        }
        match kind.actionability {
            Actionability::Actionable => self.actionable.runs += runs,
            Actionability::RequiresManualReview => self.manual_review.runs += runs,
            Actionability::SupersededByLaterSuccess => self.superseded += runs,
            Actionability::ResolvedByCurrentState => self.resolved_by_state += runs,
            Actionability::ResolvedByOperator => self.resolved_by_operator += runs,
            Actionability::NotTerminal | Actionability::InformationalOnly => {}
        }
        self.add_up();
    }

    /// Of the active runs, those past their window, and those without one.
    pub(super) fn set_active(&mut self, stale: u64, unknown: u64) {
        (self.active_stale, self.active_unknown) = (stale, unknown);
        self.active_fresh = self.active().saturating_sub(stale).saturating_sub(unknown);
    }

    /// Runs that have not ended.
    fn active(&self) -> u64 {
        let of = |status| self.by_status.get(&status).copied().unwrap_or_default();
        of(Status::Queued) + of(Status::Running)
    }

    pub(super) fn add_items(
        &mut self,
        actionability: Actionability,
        items: u64,
        oldest: Option<Moment>,
    ) {
        let counts = match actionability {
            Actionability::Actionable => &mut self.actionable,
            Actionability::RequiresManualReview => &mut self.manual_review,
            _ => return,
        };
        counts.items += items;
        counts.oldest = earlier(counts.oldest, oldest);
        self.add_up();
    }

    fn add(&mut self, other: &Counts) {
        self.runs += other.runs;
        add_each(&mut self.by_status, &other.by_status);
        add_each(&mut self.by_outcome, &other.by_outcome);
        add_each(&mut self.by_actionability, &other.by_actionability);
        self.waiting += other.waiting;
        self.active_fresh += other.active_fresh;
        self.active_stale += other.active_stale;
        self.active_unknown += other.active_unknown;
        self.superseded += other.superseded;
        self.resolved_by_state += other.resolved_by_state;
        self.resolved_by_operator += other.resolved_by_operator;
        for (sum, one) in [
            (&mut self.actionable, other.actionable),
            (&mut self.manual_review, other.manual_review),
        ] {
            sum.runs += one.runs;
            sum.items += one.items;
            sum.oldest = earlier(sum.oldest, one.oldest);
        }
        self.add_up();
    }

    fn add_up(&mut self) {
        self.follow_up_runs = self.actionable.runs + self.manual_review.runs;
        self.follow_up_items = self.actionable.items + self.manual_review.items;
        self.resolved_without_a_person = self.superseded + self.resolved_by_state;
    }
}

fn add_each<K: Ord + Copy>(sum: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
    for (key, count) in other {
        *sum.entry(*key).or_default() += count;
    }
}

fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    one.into_iter().chain(other).min()
}

/// What runs are counted by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) status: Status,
    pub(super) outcome: Outcome,
    pub(super) actionability: Actionability,
}

impl Kind {
    /// The kind that these codes stand for.
    pub(super) fn of(status: i16, outcome: i16, actionability: i16) -> Result<Self, StoreError> {
        Ok(Kind {
            status: word(Status::ALL, status)?,
            outcome: word(Outcome::ALL, outcome)?,
            actionability: word(Actionability::ALL, actionability)?,
        })
    }
}

/// The word that a code stands for.
pub(super) fn word<T: Copy>(all: &[T], code: i16) -> Result<T, StoreError> {
    let word = usize::try_from(code).ok().and_then(|place| all.get(place)).copied();
    word.ok_or_else(|| StoreError::Corrupt(format!("{code} stands for no word")))
}

pub(super) fn count(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

const RUNS: &str = "SELECT environment, status, outcome, actionability, \
     CAST(sum(runs) AS bigint) FROM run_counts";
const OVERDUE: &str = "SELECT c.environment, (SELECT count(*) FROM runs AS r";
const UNKNOWN: &str = "), (SELECT count(*) FROM runs AS r";
/// Active runs of an environment, to be counted in the index on their deadlines.
const ACTIVE: &str = " WHERE r.workspace_id = c.workspace_id AND r.generation = c.generation \
     AND r.environment = c.environment AND r.status < 2 AND r.deadline ";
const ITEMS: &str = "SELECT c.environment, c.actionability, c.items, \
     (SELECT i.first_settled_at FROM follow_up_items AS i WHERE i.workspace_id = c.workspace_id \
      AND i.generation = c.generation AND i.environment = c.environment \
      AND i.actionability = c.actionability ORDER BY i.first_settled_at LIMIT 1) \
     FROM item_counts AS c";

/// The counts of every environment, or of one. Three statements.
async fn counts(
    reading: &mut Reading,
    environment: Option<&str>,
) -> Result<BTreeMap<String, Counts>, StoreError> {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    let within = |statement: &mut Statement, condition| {
        if let Some(environment) = environment {
            statement.push(condition).bind(environment);
        }
    };
    let mut statement = Statement::select(RUNS, reading.model());
    within(&mut statement, " AND environment = ");
    statement.seen("environment", &reading.sight);
    statement.push(" AND runs > 0 GROUP BY environment, status, outcome, actionability");
    let rows: Vec<(String, i16, i16, i16, i64)> = statement.fetch(&mut reading.tx).await?;
    for (environment, status, outcome, actionability, runs) in rows {
        let kind = Kind::of(status, outcome, actionability)?;
        counts.entry(environment).or_default().add_runs(kind, count(runs));
    }
    // Without statistics SQLite might walk through the index of some list.
    let index = if let Tx::Sqlite(_) = reading.tx { " INDEXED BY runs_deadlines" } else { "" };
    let mut statement = Statement::new(OVERDUE);
    statement.push(index).push(ACTIVE).push("<= ").bind(reading.at.micros());
    statement.push(UNKNOWN).push(index).push(ACTIVE).push("IS NULL) FROM run_counts AS c");
    statement.scope("c.", reading.model()).push(" AND c.status < 2 AND c.runs > 0");
    within(&mut statement, " AND c.environment = ");
    statement.seen("c.environment", &reading.sight);
    statement.push(" GROUP BY c.workspace_id, c.generation, c.environment");
    let rows: Vec<(String, i64, i64)> = statement.fetch(&mut reading.tx).await?;
    for (environment, overdue, unknown) in rows {
        counts.entry(environment).or_default().set_active(count(overdue), count(unknown));
    }
    let mut statement = Statement::new(ITEMS);
    statement.scope("c.", reading.model());
    within(&mut statement, " AND c.environment = ");
    statement.seen("c.environment", &reading.sight);
    statement.push(" AND c.items > 0");
    let rows: Vec<(String, i16, i64, Option<i64>)> = statement.fetch(&mut reading.tx).await?;
    for (environment, actionability, items, oldest) in rows {
        let actionability = word(Actionability::ALL, actionability)?;
        let oldest = oldest.map(Moment::from_micros);
        counts.entry(environment).or_default().add_items(actionability, count(items), oldest);
    }
    Ok(counts)
}

pub(super) async fn health(reading: &mut Reading) -> Result<Health, StoreError> {
    let (events, parked) = (reading.checkpoint.position, reading.checkpoint.failure.clone());
    if reading.sight.is_narrowed() {
        // How much happens elsewhere, and which event of it cannot be read, is not theirs to know.
        let parked = parked.map(|_| STANDS_STILL.to_owned());
        return Ok(Health { events: None, lag: None, parked });
    }
    let told = |lag| Ok(Health { events: Some(events), lag: Some(lag), parked });
    if reading.past {
        // Of the past, all is known that counts.
        return told(0);
    }
    let mut statement = Statement::new("SELECT size FROM heads WHERE workspace_id = ");
    statement.bind(reading.model().workspace.0);
    let rows: Vec<(i64,)> = statement.fetch(&mut reading.tx).await?;
    let size = rows.first().map_or(events, |(size,)| count(*size));
    told(size.saturating_sub(events))
}

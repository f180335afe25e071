//! Queue truth (DESIGN section 6): what waits in each queue, and whether anything picks it up.

use std::collections::{BTreeMap, BTreeSet};

use runledger_ledger::store::StoreError;
use runledger_ledger::time::{Moment, Span};
use serde::{Deserialize, Serialize};

use super::statement::Statement;
use crate::fold::QueueKey;
use crate::rules::queue::{QueueFacts, QueueReason, QueueTruth, reason};
use crate::rules::{rfc3339, seconds};
use crate::view::{Reading, View, ViewError};

/// A queue at one moment: what is true of it, and what that rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStanding {
    /// The queue's connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Its name.
    pub queue: String,
    /// The verdict, and what people see of it.
    #[serde(flatten)]
    pub truth: QueueTruth,
    /// Why the verdict is what it is.
    pub reason: QueueReason,
    /// How long the oldest waiting run has waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "oldest_wait_seconds", with = "seconds")]
    pub oldest_wait: Option<Span>,
    /// The earliest deadline among the waiting runs.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub earliest_deadline: Option<Moment>,
    /// The shortest queue window among the waiting runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "shortest_window_seconds", with = "seconds")]
    pub shortest_window: Option<Span>,
    /// Whether some worker has ever named it.
    pub ever_named: bool,
}

/// Every queue that a run or a worker has named, by connection and name. Two statements.
pub(crate) async fn queue_standings(
    reading: &mut Reading,
) -> Result<Vec<QueueStanding>, ViewError> {
    let truths = QueueTruths::all(reading).await?;
    Ok(truths.standings().collect())
}

impl View {
    /// Every queue that a run or a worker has named, by connection and name. Two statements.
    pub async fn queues(&self) -> Result<Vec<QueueStanding>, ViewError> {
        queue_standings(&mut self.read().await?).await
    }

    /// One queue. Of one that nobody has named, nothing waits in it.
    pub async fn queue(
        &self,
        connection: Option<&str>,
        queue: &str,
    ) -> Result<QueueStanding, ViewError> {
        let mut reading = self.read().await?;
        let key = (connection.unwrap_or_default().to_owned(), queue.to_owned());
        let truths = QueueTruths::of(&mut reading, std::slice::from_ref(&key)).await?;
        Ok(truths.standing(&key))
    }
}

/// What is known of some queues, or of all.
pub(crate) struct QueueTruths {
    known: BTreeMap<QueueKey, Known>,
    blind: crate::rules::blind::BlindTime,
    at: Moment,
    /// Whether its last starts are those of others as well, whom the reader does not see.
    narrowed: bool,
}

#[derive(Default)]
struct Known {
    facts: QueueFacts,
    waits: Vec<Span>,
}

const WAITING: &str = "SELECT connection, queue, count(*), min(waiting_since), min(deadline), \
     min(queue_window) FROM runs";
/// What waits in a queue: how many, since when, the earliest deadline, the shortest window.
type WaitingRow = (String, String, i64, Option<i64>, Option<i64>, Option<i64>);

const SEEN: &str = "SELECT q.connection, q.queue, q.ever_named, q.last_start, q.waits, \
     (SELECT count(*) FROM worker_queues AS w WHERE w.workspace_id = q.workspace_id \
      AND w.generation = q.generation AND w.connection = q.connection AND w.queue = q.queue \
      AND w.lease_until > ";
/// What was seen of a queue: named by a worker, last start, waits, live workers.
type SeenRow = (String, String, bool, Option<i64>, String, i64);

const NAMED: &str = " AND EXISTS (SELECT 1 FROM runs AS r WHERE r.workspace_id = q.workspace_id \
     AND r.generation = q.generation AND r.queue = q.queue AND r.queue <> '' \
     AND r.connection = q.connection";

impl QueueTruths {
    /// All queues of the workspace.
    pub(crate) async fn all(reading: &mut Reading) -> Result<Self, StoreError> {
        QueueTruths::read(reading, None).await
    }

    /// These queues. No statement at all for none.
    pub(crate) async fn of(reading: &mut Reading, keys: &[QueueKey]) -> Result<Self, StoreError> {
        let keys: BTreeSet<&QueueKey> = keys.iter().collect();
        let keys: Vec<QueueKey> = keys.into_iter().cloned().collect();
        QueueTruths::read(reading, Some(&keys)).await
    }

    async fn read(reading: &mut Reading, keys: Option<&[QueueKey]>) -> Result<Self, StoreError> {
        let (blind, at) = (reading.checkpoint.blind.clone(), reading.at);
        let narrowed = reading.sight.is_narrowed();
        let mut truths = QueueTruths { known: BTreeMap::new(), blind, at, narrowed };
        if keys.is_some_and(<[QueueKey]>::is_empty) {
            return Ok(truths);
        }
        truths.read_seen(reading, keys).await?;
        truths.read_waiting(reading, keys).await?;
        Ok(truths)
    }

    async fn read_seen(
        &mut self,
        reading: &mut Reading,
        keys: Option<&[QueueKey]>,
    ) -> Result<(), StoreError> {
        let mut statement = Statement::new(SEEN);
        statement.bind(self.at.micros()).push(") FROM queues AS q").scope("q.", reading.model());
        if let Some(keys) = keys {
            statement.push(" AND (q.connection, q.queue) IN ").pairs(keys);
        }
        if reading.sight.is_narrowed() {
            // A queue spans environments: of the others, only those that runs in sight name.
            statement.push(NAMED).seen("r.environment", &reading.sight).push(")");
        }
        let rows: Vec<SeenRow> = statement.fetch(&mut reading.tx).await?;
        for (connection, queue, ever_named, last_start, waits, live_workers) in rows {
            let waits: Vec<i64> = serde_json::from_str(&waits).map_err(|error| {
                StoreError::Corrupt(format!("the waits of queue {queue} cannot be read: {error}"))
            })?;
            let known = self.known.entry((connection, queue)).or_default();
            known.facts.ever_named = ever_named;
            known.facts.last_start = last_start.map(Moment::from_micros);
            known.facts.live_workers = u32::try_from(live_workers).unwrap_or(u32::MAX);
            known.waits = waits.into_iter().map(Span::from_micros).collect();
        }
        Ok(())
    }

    async fn read_waiting(
        &mut self,
        reading: &mut Reading,
        keys: Option<&[QueueKey]>,
    ) -> Result<(), StoreError> {
        let mut statement = Statement::select(WAITING, reading.model());
        statement.push(" AND status = 0 AND queue <> ''").seen("environment", &reading.sight);
        if let Some(keys) = keys {
            statement.push(" AND (connection, queue) IN ").pairs(keys);
        }
        statement.push(" GROUP BY connection, queue");
        let rows: Vec<WaitingRow> = statement.fetch(&mut reading.tx).await?;
        for (connection, queue, waiting, since, deadline, window) in rows {
            let facts = &mut self.known.entry((connection, queue)).or_default().facts;
            facts.waiting = u64::try_from(waiting).unwrap_or_default();
            facts.oldest_waiting_since = since.map(Moment::from_micros);
            facts.earliest_deadline = deadline.map(Moment::from_micros);
            facts.shortest_window = window.map(Span::from_micros);
        }
        Ok(())
    }

    /// What is true of a queue.
    pub(crate) fn truth(&self, key: &QueueKey) -> QueueTruth {
        match self.known.get(key) {
            Some(known) if self.narrowed => {
                let truth = QueueTruth::of(&known.facts, &[], &self.blind, self.at);
                QueueTruth { last_start: None, ..truth }
            }
            Some(known) => QueueTruth::of(&known.facts, &known.waits, &self.blind, self.at),
            None => QueueTruth::of(&QueueFacts::default(), &[], &self.blind, self.at),
        }
    }

    /// What is true of a queue, and why.
    pub(crate) fn standing(&self, key: &QueueKey) -> QueueStanding {
        let facts = self.known.get(key).map(|known| known.facts).unwrap_or_default();
        QueueStanding {
            connection: Some(key.0.clone()).filter(|connection| !connection.is_empty()),
            queue: key.1.clone(),
            truth: self.truth(key),
            reason: reason(&facts, &self.blind, self.at),
            oldest_wait: facts.oldest_waiting_since.map(|since| self.at.since(since)),
            earliest_deadline: facts.earliest_deadline,
            shortest_window: facts.shortest_window,
            ever_named: facts.ever_named,
        }
    }

    /// Every queue that is known here, by connection and name.
    pub(crate) fn standings(&self) -> impl Iterator<Item = QueueStanding> {
        self.known.keys().map(|key| self.standing(key))
    }
}

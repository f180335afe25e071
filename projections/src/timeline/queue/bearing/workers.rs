//! What workers report that bears on the queue of a run.

use runledger_ledger::event::{AnyEvent, Recorded, Stream};
use runledger_ledger::fact::EventKind as _;
use runledger_ledger::time::Moment;
use runledger_ledger::words::Name;
use runledger_ledger::worker::{WorkerEvent, WorkerKey};

use super::super::{Change, Happened, Truncated};
use super::{Asked, Found};
use crate::query::Statement;
use crate::timeline::bearing::{page, sequences_before};
use crate::view::ViewError;

/// Workers of its connection.
const WORKERS: i64 = 200;
/// Reports of all of them.
const REPORTS: usize = 5_000;
/// Reports of one worker that are read at a time: of as many workers as there may be, one page each is
/// about all that is read.
const PAGE: u32 = 25;

/// A worker, by its last report.
type WorkerRow = (String, String, i64, i64, bool);
const WORKERS_OF: &str = "SELECT worker, queues, seen_at, lease_seconds, stopped FROM workers";

impl Asked<'_> {
    /// What workers reported that may have been there for the queue.
    pub(super) async fn workers(&self, found: &mut Found) -> Result<(), ViewError> {
        let mut tx = self.tx().await?;
        let mut statement = Statement::select(WORKERS_OF, self.live.model);
        statement.push(" AND lease_until >= ").bind(self.from().micros());
        statement.push(" AND connection = ").bind(self.waited.connection.as_str());
        statement.push(" ORDER BY lease_until LIMIT ").bind(WORKERS + 1);
        let rows: Vec<WorkerRow> = statement.fetch(&mut tx).await?;
        drop(tx);
        if rows.len() as u64 > WORKERS.unsigned_abs() {
            found.cut(self.from(), Truncated::ManyChanges);
            return Ok(());
        }
        let mut since = Vec::new();
        for (worker, queues, seen_at, lease, stopped) in rows {
            let seen_at = Moment::from_micros(seen_at);
            if seen_at >= self.from() {
                since.push(worker);
                continue;
            }
            // It has said nothing since: its last report is the one that counts.
            let queues: Vec<String> = serde_json::from_str(&queues).unwrap_or_default();
            let names = !stopped && queues.contains(&self.waited.queue);
            let lease_seconds = u32::try_from(lease).unwrap_or_default();
            let change = Change::Reports { worker, names, lease_seconds };
            found.happened.push(Happened { position: 0, at: seen_at, told: None, change });
        }
        self.reports(&since, found).await?;
        self.ever_named(found).await
    }

    fn stream(&self, worker: &str) -> Option<Stream> {
        let connection = Name::new(self.waited.connection.as_str()).ok();
        Some(Stream::worker(&WorkerKey { connection, worker: Name::new(worker).ok()? }))
    }

    /// The reports of these workers, from the last one before the run began to wait.
    async fn reports(&self, workers: &[String], found: &mut Found) -> Result<(), ViewError> {
        let streams: Vec<Stream> =
            workers.iter().filter_map(|worker| self.stream(worker)).collect();
        let store = self.of.store();
        let before =
            sequences_before(store, self.workspace(), &streams, self.waited.from.0).await?;
        let most = REPORTS / streams.len().max(1);
        for (stream, before) in streams.into_iter().zip(before) {
            let (mut after, mut read) = (before.saturating_sub(1), 0);
            loop {
                let events =
                    page(store, self.workspace(), stream, (after, PAGE), self.size).await?;
                found.happened.extend(events.iter().filter_map(|event| self.report(event)));
                let full = events.len() as u64 == u64::from(PAGE);
                let Some(last) = events.last().filter(|_| full) else { break };
                if last.fact.recorded_at > self.end {
                    break;
                }
                (after, read) = (last.sequence, read + events.len());
                if read >= most {
                    found.cut(last.fact.recorded_at, Truncated::ManyChanges);
                    break;
                }
            }
        }
        Ok(())
    }

    fn report(&self, event: &Recorded) -> Option<Happened> {
        let change = match &event.fact.event {
            AnyEvent::Worker(WorkerEvent::Seen(seen)) => Change::Reports {
                worker: seen.key.worker.to_string(),
                names: seen.queues.iter().any(|queue| queue.as_str() == self.waited.queue),
                lease_seconds: seen.lease_seconds,
            },
            AnyEvent::Worker(WorkerEvent::Stopped(stopped)) => Change::Reports {
                worker: stopped.key.worker.to_string(),
                names: false,
                lease_seconds: 0,
            },
            _ => return None,
        };
        let told = Some((event.fact.event.event_type(), None));
        Some(Happened { position: event.position, at: event.fact.recorded_at, told, change })
    }

    /// Whether a worker that is not there any more had named the queue before the run came.
    async fn ever_named(&self, found: &mut Found) -> Result<(), ViewError> {
        let is_named = |happened: &Happened| {
            happened.position < self.waited.from.0
                && matches!(happened.change, Change::Reports { names: true, .. })
        };
        let by_now = async {
            let mut statement = Statement::select("SELECT ever_named FROM queues", self.live.model);
            statement.push(" AND connection = ").bind(self.waited.connection.as_str());
            statement.push(" AND queue = ").bind(self.waited.queue.as_str());
            let rows: Vec<(bool,)> = statement.fetch(&mut self.tx().await?).await?;
            Ok::<_, ViewError>(rows.contains(&(true,)))
        };
        if found.happened.iter().any(is_named) || !by_now.await? {
            return Ok(());
        }
        let mut statement = Statement::select("SELECT worker FROM workers", self.live.model);
        statement.push(" AND connection = ").bind(self.waited.connection.as_str());
        statement.push(" ORDER BY worker LIMIT ").bind(WORKERS + 1);
        let workers: Vec<(String,)> = statement.fetch(&mut self.tx().await?).await?;
        let more = workers.len() as u64 > WORKERS.unsigned_abs();
        let streams = workers.iter().filter_map(|(worker,)| self.stream(worker));
        let mut unread = more;
        for stream in streams {
            let (store, before) = (self.of.store(), self.waited.from.0);
            let events = page(store, self.workspace(), stream, (0, PAGE), before).await?;
            // A worker names its queues again with each report, and its first ones tell as a rule.
            unread |= events.len() as u64 == u64::from(PAGE);
            let named = events
                .iter()
                .filter_map(|event| self.report(event))
                .find(|happened| matches!(happened.change, Change::Reports { names: true, .. }));
            if let Some(named) = named {
                // It is not there any more: naming the queue is all that counts.
                found.happened.push(ended(named));
                return Ok(());
            }
        }
        if unread {
            found.cut(self.from(), Truncated::ManyChanges);
        }
        Ok(())
    }
}

/// A report whose lease is over at once.
fn ended(mut report: Happened) -> Happened {
    if let Change::Reports { lease_seconds, .. } = &mut report.change {
        *lease_seconds = 0;
    }
    report
}

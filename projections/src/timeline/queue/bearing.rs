//! What bears on the queue of a run while the run waits: who else waits and starts there, and what
//! workers of its connection report.
//!
//! All of it is found by index, and as much as is said here at most. Which runs waited, their rows
//! tell: a run that waits was dispatched with its queue, and waits from that event on until the one
//! that starts or ends it. Where in the log these are, their streams tell.

mod workers;

use std::collections::{BTreeMap, BTreeSet};

use runledger_ledger::event::{AggregateType, AnyEvent, Recorded, Stream};
use runledger_ledger::fact::{EventKind as _, EventType};
use runledger_ledger::run::Run;
use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use uuid::Uuid;

use super::{Change, Happened, Queue, QueueLife, Truncated, Waited, blind_times, tell};
use crate::db::Tx;
use crate::projections::Projections;
use crate::projector::{Checkpoint, ProjectionError};
use crate::query::Statement;
use crate::sight::Sight;
use crate::timeline::bearing::page;
use crate::view::ViewError;

/// Runs that were dispatched before the one that is told of began to wait: the latest of them.
const OLDER: i64 = 2_000;
/// Runs that were dispatched while it waited: the first of them.
const NEWER: i64 = 1_000;
/// Runs that wait now.
const WAITING: i64 = 1_000;
/// Runs whose start may count later than it was: those of which a signal told first.
const INFERRED: usize = 50;
/// How far into the stream of a run its start or its end is looked for: before it, there is its dispatch,
/// and what an adapter or another name for it said while it waited.
const EARLY: u64 = 8;
/// The same of one of which a signal told first: until it named its queue.
const NAMED: u32 = 64;
/// Streams that are asked of in one statement.
const AT_ONCE: usize = 2_048;

/// What is asked: the queue of which run, up to where.
struct Asked<'a> {
    of: &'a Projections,
    live: &'a Checkpoint,
    sight: &'a Sight,
    id: RunId,
    waited: &'a Waited,
    /// Events of the log that count.
    size: u64,
    /// Nothing after this moment counts.
    end: Moment,
}

/// What was found.
#[derive(Default)]
struct Found {
    happened: Vec<Happened>,
    last_start: Option<Moment>,
    /// From when on not everything was looked at.
    cut: Option<Moment>,
    truncated: BTreeSet<Truncated>,
}

impl Projections {
    /// The truth of the queue that a run waited in. `events` are those of the run and of the
    /// workspace's stream. None if it never waited in a queue.
    pub(in crate::timeline) async fn queue_life(
        &self,
        live: &Checkpoint,
        sight: &Sight,
        (id, events): (RunId, &[Recorded]),
        (size, at): (u64, Moment),
    ) -> Result<Option<QueueLife>, ViewError> {
        let Some(waited) = Waited::of(id, events) else { return Ok(None) };
        let end = waited.until.map_or(at, |(_, until)| until);
        let asked = Asked { of: self, live, sight, id, waited: &waited, size, end };
        let found = match asked.find().await {
            Err(ViewError::Projection(ProjectionError::Store(StoreError::Archived(_)))) => Found {
                cut: Some(waited.from.1),
                truncated: [Truncated::Archived].into(),
                ..Found::default()
            },
            found => found?,
        };
        Ok(Some(found.tell(id, waited, events, at)))
    }
}

impl Found {
    fn tell(mut self, id: RunId, waited: Waited, events: &[Recorded], at: Moment) -> QueueLife {
        self.happened.push(Happened {
            position: waited.from.0,
            at: waited.from.1,
            told: Some((EventType::RunDispatched, Some(id))),
            change: Change::Waits(id, waited.window),
        });
        self.happened.extend(blind_times(events));
        self.happened.sort_by_key(|happened| happened.position);
        let queue = Queue { last_start: self.last_start, ..Queue::default() };
        let waited_until = waited.until.map(|(_, until)| until);
        let cut = self.cut.filter(|cut| waited_until.map_or(*cut <= at, |until| *cut < until));
        let until = cut.or(waited_until);
        QueueLife {
            connection: Some(waited.connection).filter(|connection| !connection.is_empty()),
            queue: waited.queue,
            verdicts: tell(queue, &self.happened, waited.from, until, at),
            told_until: cut,
            truncated: self.truncated,
        }
    }

    fn cut(&mut self, at: Moment, why: Truncated) {
        self.cut = Some(self.cut.map_or(at, |cut| cut.min(at)));
        self.truncated.insert(why);
    }
}

/// A run of the queue, as its row has it.
struct Other {
    id: RunId,
    first_position: u64,
    seen: bool,
    run: Run,
}

/// The columns of [`Other`].
type OtherRow = (Uuid, i64, String, String, String);
const RUNS: &str = "SELECT run_id, first_position, environment, connection, state FROM runs";

impl Other {
    /// When it left the queue, and with which event: its start, or its end without one.
    fn left(&self) -> Option<(Moment, bool)> {
        let start = self.run.start.as_ref().filter(|start| !start.after_completion);
        let end = self.run.completion.as_ref().map(|end| (end.recorded_at, false));
        start.map(|start| (start.recorded_at, true)).or(end)
    }

    /// Its start, if it is one of the queue.
    fn start(&self) -> Option<Moment> {
        let start = self.run.start.as_ref().filter(|start| !start.after_completion);
        start.map(|start| start.recorded_at)
    }

    /// Whether it may have named the queue only after its start: a signal told of it first.
    fn may_be_named_late(&self) -> bool {
        let start = self.run.start.as_ref().map(|start| start.recorded_at);
        self.run.inferred || start.is_some_and(|start| self.run.dispatch_recorded_at > start)
    }

    /// Whether it waited for any time: of one of which a signal told first, nobody knows.
    fn waited(&self) -> bool {
        let since = self.run.dispatch_recorded_at;
        !self.run.inferred && self.left().is_none_or(|(left, _)| left > since)
    }

    fn happened(&self, position: u64, at: Moment, what: EventType, change: Change) -> Happened {
        let told = self.seen.then_some((what, Some(self.id)));
        Happened { position, at, told, change }
    }
}

impl Asked<'_> {
    async fn find(&self) -> Result<Found, ViewError> {
        let mut found = Found::default();
        let others = self.runs(&mut found).await?;
        self.waits(&others, &mut found).await?;
        self.workers(&mut found).await?;
        found.happened.retain(|happened| happened.position < self.size);
        Ok(found)
    }

    fn workspace(&self) -> WorkspaceId {
        self.live.model.workspace
    }

    fn from(&self) -> Moment {
        self.waited.from.1
    }

    async fn tx(&self) -> Result<Tx, StoreError> {
        Tx::read(self.of.store(), self.workspace()).await
    }

    /// Runs of queues of this name. An index has them in order, whatever their connection: so no more
    /// of them are read than are asked for.
    fn of_queue(&self) -> Statement {
        let mut statement = Statement::select(RUNS, self.live.model);
        statement.push(" AND queue <> '' AND queue = ").bind(self.waited.queue.as_str());
        statement
    }

    /// The runs of the queue that may have waited or started while the run waited, and the last
    /// ones before.
    async fn runs(&self, found: &mut Found) -> Result<Vec<Other>, ViewError> {
        let (from, end) = (self.from().micros(), self.end.micros());
        let mut tx = self.tx().await?;
        let mut waiting = self.of_queue();
        waiting.push(" AND connection = ").bind(self.waited.connection.as_str());
        waiting.push(" AND status = 0 ORDER BY waiting_since LIMIT ").bind(WAITING + 1);
        let waiting: Vec<OtherRow> = waiting.fetch(&mut tx).await?;
        let mut older = self.of_queue();
        older.push(" AND dispatched_at <= ").bind(from);
        older.push(" ORDER BY dispatched_at DESC, run_id DESC LIMIT ").bind(OLDER + 1);
        let older: Vec<OtherRow> = older.fetch(&mut tx).await?;
        let mut newer = self.of_queue();
        newer.push(" AND dispatched_at > ").bind(from).push(" AND dispatched_at <= ").bind(end);
        newer.push(" ORDER BY dispatched_at, run_id LIMIT ").bind(NEWER + 1);
        let newer: Vec<OtherRow> = newer.fetch(&mut tx).await?;
        let is_cut = |rows: &[OtherRow], most: i64| rows.len() as u64 > most.unsigned_abs();
        if is_cut(&older, OLDER) || is_cut(&waiting, WAITING) {
            found.truncated.insert(Truncated::OlderRuns);
        }
        let newer_is_cut = is_cut(&newer, NEWER);
        let mut others: BTreeMap<RunId, Other> = BTreeMap::new();
        let mut last_dispatch = None;
        for row in waiting.into_iter().chain(older).chain(newer) {
            let is_here = row.3 == self.waited.connection;
            let other = self.other(row)?;
            last_dispatch = Some(other.run.dispatched_at);
            if is_here {
                others.insert(other.id, other);
            }
        }
        if let Some(last) = last_dispatch.filter(|_| newer_is_cut) {
            // The rows of those dispatched later were not read, and none of them waited before.
            found.cut(last, Truncated::ManyChanges);
        }
        others.retain(|id, other| *id != self.id && other.first_position < self.size);
        Ok(others.into_values().collect())
    }

    fn other(&self, (id, first, environment, _, state): OtherRow) -> Result<Other, StoreError> {
        let run = serde_json::from_str(&state).map_err(|error| {
            StoreError::Corrupt(format!("the state of run {id} cannot be read: {error}"))
        })?;
        let environment = Name::new(environment).ok();
        let first_position = u64::try_from(first).unwrap_or_default();
        let seen = self.sight.sees(environment.as_ref());
        Ok(Other { id: RunId(id), first_position, seen, run })
    }

    /// When these waited and started.
    async fn waits(&self, others: &[Other], found: &mut Found) -> Result<(), ViewError> {
        // Who left before the run came counts for its start alone.
        let is_here = |other: &&Other| other.left().is_none_or(|(left, _)| left >= self.from());
        let (here, gone): (Vec<&Other>, Vec<&Other>) = others.iter().partition(|one| is_here(one));
        let plain = gone.iter().filter(|other| !other.may_be_named_late());
        found.last_start = plain.filter_map(|other| other.start()).max();
        let mut late: Vec<&Other> =
            gone.into_iter().filter(|other| other.may_be_named_late()).collect();
        late.retain(|other| other.start() > found.last_start);
        let started = |other: &&&Other| other.start().is_some_and(|start| start <= self.end);
        late.extend(here.iter().filter(|other| other.may_be_named_late()).filter(started));
        let left = |other: &&&Other| other.left().is_some_and(|(left, _)| left <= self.end);
        let leaving: Vec<&Other> = here.iter().filter(left).copied().collect();
        let places = self.places(&leaving, found).await?;
        for other in &here {
            let since = other.run.dispatch_recorded_at;
            if other.seen && other.waited() {
                let waits = Change::Waits(other.id, other.run.lifecycle.queue_window);
                let dispatched = EventType::RunDispatched;
                found.happened.push(other.happened(other.first_position, since, dispatched, waits));
            }
        }
        for (other, (position, what)) in
            leaving.iter().filter_map(|other| Some((other, *places.get(&other.id.0)?)))
        {
            let Some((at, starts)) = other.left() else { continue };
            if other.seen && other.waited() {
                let leaves = Change::Leaves(other.id);
                found.happened.push(other.happened(position, at, what, leaves));
            }
            if starts && !other.may_be_named_late() {
                found.happened.push(other.happened(position, at, what, Change::Starts(at)));
            }
        }
        self.late_starts(&late, found).await
    }

    /// Where each of these left the queue, and by which event: early in its stream.
    async fn places(
        &self,
        leaving: &[&Other],
        found: &mut Found,
    ) -> Result<BTreeMap<Uuid, (u64, EventType)>, ViewError> {
        let mut places = BTreeMap::new();
        let mut left: BTreeMap<Uuid, (Moment, bool)> =
            leaving.iter().filter_map(|other| Some((other.id.0, other.left()?))).collect();
        let mut tx = self.tx().await?;
        // The first event is the dispatch.
        for sequence in 2..EARLY {
            let wanted: Vec<Uuid> = left.keys().copied().collect();
            for wanted in wanted.chunks(AT_ONCE) {
                for (id, position, what, at) in self.at(&mut tx, wanted, sequence).await? {
                    let Some((moment, starts)) = left.get(&id) else { continue };
                    let is_it = at == *moment
                        && what != EventType::RunHeartbeat
                        && *starts == (what == EventType::RunStarted);
                    if is_it {
                        left.remove(&id);
                        places.insert(id, (position, what));
                    }
                }
            }
            if left.is_empty() {
                return Ok(places);
            }
        }
        if let Some(first) = left.values().map(|(moment, _)| *moment).min() {
            found.cut(first, Truncated::ManyChanges);
        }
        Ok(places)
    }

    /// The events at this place of each stream.
    async fn at(
        &self,
        tx: &mut Tx,
        runs: &[Uuid],
        sequence: u64,
    ) -> Result<Vec<(Uuid, u64, EventType, Moment)>, ViewError> {
        const AT: &str = "SELECT aggregate_id, position, event_type, recorded_at FROM events \
             WHERE workspace_id = ";
        let mut statement = Statement::new(AT);
        statement.bind(self.workspace().0).push(" AND aggregate_type = ");
        statement.bind(AggregateType::Run.number()).push(" AND aggregate_id IN ").list(runs);
        statement.push(" AND sequence = ").bind(i64::try_from(sequence).unwrap_or(i64::MAX));
        let rows: Vec<(Uuid, i64, i16, i64)> = statement.fetch(tx).await?;
        let known = rows.into_iter().filter_map(|(id, position, what, at)| {
            let position = u64::try_from(position).ok()?;
            Some((id, position, EventType::from_number(what)?, Moment::from_micros(at)))
        });
        Ok(known.collect())
    }

    /// Starts that count from when the run named the queue.
    async fn late_starts(&self, late: &[&Other], found: &mut Found) -> Result<(), ViewError> {
        if late.len() > INFERRED {
            found.cut(self.from(), Truncated::ManyChanges);
        }
        for other in late.iter().take(INFERRED) {
            let (store, stream) = (self.of.store(), Stream::run(other.id));
            let events = page(store, self.workspace(), stream, (0, NAMED), self.size).await?;
            let mut run = Run::default();
            let mut is_told = events.len() as u64 != u64::from(NAMED);
            for event in &events {
                let AnyEvent::Run(what) = &event.fact.event else { continue };
                run.apply(&runledger_ledger::fact::Fact {
                    occurred_at: event.fact.occurred_at,
                    recorded_at: event.fact.recorded_at,
                    event: what.clone(),
                });
                let start = run.start.as_ref().filter(|start| !start.after_completion);
                if let Some(start) = start.filter(|_| run.queue.is_some()) {
                    let (at, what) = (event.fact.recorded_at, event.fact.event.event_type());
                    let starts = Change::Starts(start.recorded_at);
                    found.happened.push(other.happened(event.position, at, what, starts));
                    is_told = true;
                    break;
                }
            }
            if !is_told {
                found.cut(self.from(), Truncated::ManyChanges);
            }
        }
        Ok(())
    }
}

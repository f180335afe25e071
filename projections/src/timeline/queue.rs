//! The truth of the queue that a run waited in, from when to when (DESIGN section 6).
//!
//! A verdict on a queue changes by events of other runs, by what workers report, and by time alone.
//! What bears on the queue is folded in the order of the log; between two events the verdict is
//! asked for at each moment at which time alone may change it. What is told of a moment is what a
//! question as of that moment is answered with.

mod bearing;

use std::collections::{BTreeMap, BTreeSet};

use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::fact::{EventKind as _, EventType};
use runledger_ledger::run::Run;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words;
use runledger_ledger::words::{RunId, Status};
use runledger_ledger::workspace::WorkspaceEvent;
use serde::{Deserialize, Serialize};

use super::{Cause, Period, begin};
use crate::rules::blind::BlindTime;
use crate::rules::queue::{QueueFacts, QueueVerdict, lease_until, verdict};
use crate::rules::rfc3339;

/// What was true of the queue that a run waited in, as long as it waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLife {
    /// The queue's connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Its name.
    pub queue: String,
    /// The verdicts on it, from the dispatch of the run on, without a gap: until the run waited no
    /// more, until [`QueueLife::told_until`], or until the moment of the question.
    pub verdicts: Vec<Period<QueueThen>>,
    /// From then on nothing is told, although the run still waited: there was too much.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub told_until: Option<Moment>,
    /// What was not looked at. Nothing, as a rule.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub truncated: BTreeSet<Truncated>,
}

/// A verdict on a queue in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueThen {
    /// Which one.
    pub verdict: QueueVerdict,
}

words! {
    /// What was not looked at for the verdicts on a queue.
    Truncated {
        /// Runs that were dispatched long before this one and left the queue after it came: there
        /// are more runs of the queue than are looked at. Those that still wait were looked at.
        OlderRuns = "older_runs",
        /// What happened from a moment on.
        ManyChanges = "many_changes",
        /// What lies in an archive that cannot be read.
        Archived = "archived",
    }
}

/// When a run waited, by its own events.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waited {
    /// The position of the event with which it began to wait, and when that was recorded.
    from: (u64, Moment),
    /// The same of the event that ended it.
    until: Option<(u64, Moment)>,
    connection: String,
    queue: String,
    /// Its own queue window.
    window: Option<Span>,
}

impl Waited {
    /// None if the run never waited in a queue.
    fn of(id: RunId, events: &[Recorded]) -> Option<Waited> {
        let mut run = Run::default();
        let mut waited: Option<Waited> = None;
        for event in events.iter().filter(|event| event.stream.run_id() == Some(id)) {
            let AnyEvent::Run(what) = event.fact.event.clone() else { continue };
            run.apply(&runledger_ledger::fact::Fact {
                occurred_at: event.fact.occurred_at,
                recorded_at: event.fact.recorded_at,
                event: what,
            });
            let here = (event.position, event.fact.recorded_at);
            match (&mut waited, run.status, &run.queue) {
                (None, Status::Queued, Some(queue)) if !run.inferred => {
                    let connection = run.connection.as_ref().map(ToString::to_string);
                    waited = Some(Waited {
                        from: here,
                        until: None,
                        connection: connection.unwrap_or_default(),
                        queue: queue.to_string(),
                        window: run.lifecycle.queue_window,
                    });
                }
                (Some(waited), Status::Running | Status::Completed, _) => {
                    waited.until.get_or_insert(here);
                }
                _ => {}
            }
        }
        // What began and ended at one moment, no question as of a time sees.
        waited.filter(|waited| waited.until.is_none_or(|(_, until)| until > waited.from.1))
    }
}

/// Something that bears on a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Happened {
    /// Its place in the log.
    position: u64,
    /// When it was recorded.
    at: Moment,
    /// What was recorded; none where the reader sees nothing of it.
    told: Option<(EventType, Option<RunId>)>,
    /// What it does.
    change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// A run waits, with its queue window.
    Waits(RunId, Option<Span>),
    /// It does not any more.
    Leaves(RunId),
    /// A run of the queue counts as started, at this moment.
    Starts(Moment),
    /// A worker reports: whether it names the queue, and its lease in seconds.
    Reports { worker: String, names: bool, lease_seconds: u32 },
    /// The ledger was blind.
    Blind(Moment, Moment),
}

impl Happened {
    fn cause(&self) -> Cause {
        match self.told {
            Some((event_type, run_id)) => {
                Cause::Event { position: self.position, event_type, run_id }
            }
            None => Cause::Elsewhere,
        }
    }
}

/// The blind times that the workspace's stream tells of.
fn blind_times(events: &[Recorded]) -> impl Iterator<Item = Happened> {
    events.iter().filter_map(|event| match &event.fact.event {
        AnyEvent::Workspace(WorkspaceEvent::LedgerBlind(blind)) => Some(Happened {
            position: event.position,
            at: event.fact.recorded_at,
            told: Some((event.fact.event.event_type(), None)),
            change: Change::Blind(blind.from, blind.to),
        }),
        _ => None,
    })
}

/// What is known of a queue, as its part of the log is folded.
#[derive(Default)]
struct Queue {
    /// Who waits: since when, and with which window.
    waiting: BTreeMap<RunId, (Moment, Option<Span>)>,
    /// The deadlines of those who have one, in order, and their windows.
    deadlines: BTreeSet<(Moment, RunId)>,
    windows: BTreeSet<(i64, RunId)>,
    /// The last reports of workers that name it: when, and for how long.
    workers: BTreeMap<String, (Moment, u32)>,
    ever_named: bool,
    last_start: Option<Moment>,
    blind: BlindTime,
}

impl Queue {
    fn fold(&mut self, happened: &Happened) {
        match &happened.change {
            Change::Waits(run, window) => {
                self.waiting.insert(*run, (happened.at, *window));
                if let Some(window) = window {
                    self.deadlines.insert((self.blind.extend(happened.at, *window), *run));
                    self.windows.insert((window.micros(), *run));
                }
            }
            Change::Leaves(run) => {
                if let Some((since, Some(window))) = self.waiting.remove(run) {
                    self.deadlines.remove(&(self.blind.extend(since, window), *run));
                    self.windows.remove(&(window.micros(), *run));
                }
            }
            Change::Starts(at) => self.last_start = self.last_start.max(Some(*at)),
            Change::Reports { worker, names: true, lease_seconds } => {
                self.ever_named = true;
                self.workers.insert(worker.clone(), (happened.at, *lease_seconds));
            }
            Change::Reports { worker, names: false, .. } => {
                self.workers.remove(worker);
            }
            Change::Blind(from, to) => {
                self.blind.add(*from, *to);
                let due = |(run, (since, window)): (&RunId, &(Moment, Option<Span>))| {
                    Some((self.blind.extend(*since, (*window)?), *run))
                };
                self.deadlines = self.waiting.iter().filter_map(due).collect();
            }
        }
    }

    /// The moments at which leases end.
    fn leases(&self) -> impl Iterator<Item = Moment> {
        self.workers.values().map(|(seen, lease)| lease_until(*seen, *lease, &self.blind))
    }

    fn shortest_window(&self) -> Option<Span> {
        self.windows.first().map(|(window, _)| Span::from_micros(*window))
    }

    fn verdict(&self, at: Moment) -> QueueThen {
        let live = self.leases().filter(|until| *until > at).count();
        let facts = QueueFacts {
            waiting: self.waiting.len() as u64,
            oldest_waiting_since: None,
            earliest_deadline: self.deadlines.first().map(|(deadline, _)| *deadline),
            shortest_window: self.shortest_window(),
            ever_named: self.ever_named,
            live_workers: u32::try_from(live).unwrap_or(u32::MAX),
            last_start: self.last_start,
        };
        QueueThen { verdict: verdict(&facts, &self.blind, at) }
    }

    /// The first moment after `now` at which time alone may change the verdict.
    fn next_change(&self, now: Moment) -> Option<Moment> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let spoken_for = self.last_start.zip(self.shortest_window());
        let spoken_for = spoken_for.map(|(start, window)| self.blind.extend(start, window));
        let moments = self.leases().chain(deadline).chain(spoken_for);
        moments.filter(|moment| *moment > now).min()
    }
}

/// Tells the verdicts from `from` on, the position and the time at which the run began to wait,
/// until `until`, and not then any more if it is `Some`; otherwise until `at`, that moment included.
/// `happened` is in the order of the log; what was before `from` is folded as well.
fn tell(
    mut queue: Queue,
    happened: &[Happened],
    from: (u64, Moment),
    until: Option<Moment>,
    at: Moment,
) -> Vec<Period<QueueThen>> {
    let mut verdicts = Vec::new();
    let mut now = from.1;
    let is_over = |moment: Moment| until.map_or(moment > at, |until| moment >= until);
    for one in happened.iter().take_while(|one| !is_over(one.at)) {
        if one.position >= from.0 {
            pass(&queue, &mut now, |next| next <= one.at, &mut verdicts);
            now = one.at;
        }
        queue.fold(one);
        if one.position >= from.0 {
            begin(&mut verdicts, one.at, queue.verdict(one.at), &one.cause());
        }
    }
    pass(&queue, &mut now, |next| !is_over(next), &mut verdicts);
    if let Some(last) = verdicts.last_mut() {
        last.until = until;
    }
    verdicts
}

/// Lets time pass from `now` on, as far as `reaches` says.
fn pass(
    queue: &Queue,
    now: &mut Moment,
    reaches: impl Fn(Moment) -> bool,
    verdicts: &mut Vec<Period<QueueThen>>,
) {
    while let Some(next) = queue.next_change(*now).filter(|next| reaches(*next)) {
        begin(verdicts, next, queue.verdict(next), &Cause::Deadline);
        *now = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::story::{minute, minutes};

    const RUN: RunId = RunId(uuid::Uuid::from_u128(1));
    const OTHER: RunId = RunId(uuid::Uuid::from_u128(2));

    fn at_minute(position: u64, minute_of: i64, change: Change) -> Happened {
        let told = Some((EventType::RunStarted, None));
        Happened { position, at: minute(minute_of), told, change }
    }

    fn reports(names: bool) -> Change {
        Change::Reports { worker: "w".to_owned(), names, lease_seconds: 120 }
    }

    fn waits(run: RunId) -> Change {
        Change::Waits(run, Some(minutes(10)))
    }

    /// The verdicts of a run that waits from position 10 and minute 0 on, with the minutes at which
    /// they began and what made each of them.
    fn told(happened: &[Happened], until: Option<i64>, at: i64) -> Vec<(i64, QueueVerdict, bool)> {
        let from = (10, minute(0));
        let until = until.map(minute);
        let told = tell(Queue::default(), happened, from, until, minute(at));
        for pair in told.windows(2) {
            assert_eq!(pair[0].until, Some(pair[1].from), "{told:#?}");
        }
        assert_eq!(told.last().and_then(|last| last.until), until);
        told.iter()
            .map(|one| {
                let of_minute = one.from.since(minute(0)).micros() / 60_000_000;
                (of_minute, one.was.verdict, one.because == Cause::Deadline)
            })
            .collect()
    }

    #[test]
    fn leases_deadlines_and_starts_of_others_change_the_verdict_in_turn() {
        let happened = [
            at_minute(3, -30, reports(true)),
            at_minute(10, 0, waits(RUN)),
            at_minute(11, 4, reports(true)),
            at_minute(12, 8, Change::Starts(minute(8))),
            at_minute(13, 9, reports(true)),
            at_minute(14, 11, Change::Starts(minute(11))),
        ];
        use QueueVerdict::{Moving, NoWorker, Slow, Stalled};
        // The lease of minute -30 is long over, that of minute 4 at 6, that of minute 9 at 11.
        assert_eq!(
            told(&happened, None, 60),
            [
                (0, NoWorker, false),
                (4, Moving, false),
                (6, NoWorker, true),
                (9, Moving, false),
                (10, Stalled, true),
                (11, NoWorker, true),
            ]
        );
        // It is not told any more than what was known at the moment of the question.
        assert_eq!(told(&happened, None, 9).len(), 4);
        let unnamed: Vec<Happened> = happened
            .iter()
            .filter(|one| !matches!(one.change, Change::Reports { .. }))
            .cloned()
            .collect();
        assert_eq!(
            told(&unnamed, Some(30), 60),
            [
                (0, QueueVerdict::Unknown, false),
                (8, Moving, false),
                (10, Stalled, true),
                (11, Slow, false),
            ]
        );
    }

    #[test]
    fn blind_time_moves_deadlines_from_when_it_is_recorded() {
        let happened =
            [at_minute(10, 0, waits(RUN)), at_minute(11, 20, Change::Blind(minute(5), minute(20)))];
        use QueueVerdict::{Stalled, Unknown};
        assert_eq!(
            told(&happened, None, 60),
            [(0, Unknown, false), (10, Stalled, true), (20, Unknown, false), (25, Stalled, true)]
        );
    }

    #[test]
    fn an_earlier_run_that_waits_makes_the_queue_stall_until_it_leaves() {
        let happened = [
            at_minute(2, -5, waits(OTHER)),
            at_minute(10, 0, waits(RUN)),
            at_minute(11, 7, Change::Leaves(OTHER)),
        ];
        use QueueVerdict::{Stalled, Unknown};
        assert_eq!(
            told(&happened, Some(9), 60),
            [(0, Unknown, false), (5, Stalled, true), (7, Unknown, false)]
        );
    }
}

//! The life of one run, told twice: what was recorded of it, and what was true of it from when to
//! when (DESIGN sections 1, 5 and 7).
//!
//! Nothing of this is stored. The events that bear on the run are folded in the order of the log,
//! and judged after each of them, and at each deadline between two of them, by the functions that
//! judge it now. What it says of a moment is what a question as of that moment is answered with.

mod bearing;
mod queue;

use std::collections::BTreeMap;
use std::sync::Arc;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::fact::{EventKind as _, EventType, Fact};
use runledger_ledger::run::Run;
use runledger_ledger::subject::SubjectEvent;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Outcome, RunId, Status};
use runledger_ledger::workspace::WorkspaceEvent;
use serde::{Deserialize, Serialize};

pub use self::queue::{QueueLife, QueueThen, Truncated};
use crate::projector::{self, ProjectionError};
use crate::rules::actionability::{
    Evidence, Observation, Superseding, Verdict, actionability, is_follow_up, may_supersede,
};
use crate::rules::blind::BlindTime;
use crate::rules::freshness::{Freshness, deadline, freshness};
use crate::rules::rfc3339;

/// What was recorded of a run, and what was true of it from when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Which run.
    pub run_id: RunId,
    /// Historical truth: its events, in their order, the first [`Timeline::ENTRIES`] of them.
    pub recorded: Vec<Entry>,
    /// How many more there are.
    pub more_recorded: u64,
    /// What its freshness was, without a gap, until the moment of the question.
    pub freshness: Vec<Period<FreshnessThen>>,
    /// The same of its actionability.
    pub actionability: Vec<Period<VerdictThen>>,
    /// What was true of the queue that it waited in, while it waited there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueLife>,
}

impl Timeline {
    /// Most events that are listed.
    pub const ENTRIES: usize = 1_000;
}

/// One event of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the log.
    pub position: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// When it happened, by the word of its source.
    #[serde(with = "rfc3339")]
    pub occurred_at: Moment,
    /// When the ledger recorded it.
    #[serde(with = "rfc3339")]
    pub recorded_at: Moment,
    /// The run's status after it.
    pub status: Status,
    /// The run's outcome after it.
    pub outcome: Outcome,
}

/// A time in which something was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period<T> {
    /// From then on.
    #[serde(with = "rfc3339")]
    pub from: Moment,
    /// Until then, and not then any more. None: it is so at the moment of the question.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub until: Option<Moment>,
    /// What was so.
    #[serde(flatten)]
    pub was: T,
    /// What made it so.
    pub because: Cause,
}

/// A freshness of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshnessThen {
    /// Which one.
    pub freshness: Freshness,
}

/// A verdict of the past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictThen {
    /// Which one, and what proved it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Whether the run was a current follow-up.
    pub follow_up: bool,
}

/// What changed a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// An event, of this run or of another one, of its subject or of the workspace.
    Event {
        /// Its place in the log.
        position: u64,
        /// What happened.
        #[serde(rename = "type")]
        event_type: EventType,
        /// The run that it is of, if it is one of a run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_id: Option<RunId>,
    },
    /// Time alone: a deadline was reached, or a lease was over.
    Deadline,
    /// An event of a run that the reader does not see.
    Elsewhere,
}

/// What is known of a run and of what bears on it, while the log is read.
struct Story {
    id: RunId,
    run: Run,
    /// The runs that may supersede it, and the position of the first event of each.
    others: BTreeMap<RunId, (u64, Run)>,
    observation: Option<Observation>,
    catalog: Arc<Catalog>,
    blind: BlindTime,
}

impl Story {
    fn apply(&mut self, recorded: &Recorded) -> Result<(), ProjectionError> {
        let Fact { occurred_at, recorded_at, event } = &recorded.fact;
        match event {
            AnyEvent::Run(event) => {
                let id = RunId(recorded.stream.id);
                let run = if id == self.id {
                    &mut self.run
                } else {
                    &mut self.others.entry(id).or_insert((recorded.position, Run::default())).1
                };
                let (occurred_at, recorded_at) = (*occurred_at, *recorded_at);
                run.apply(&Fact { occurred_at, recorded_at, event: event.clone() });
            }
            AnyEvent::Subject(SubjectEvent::Observed(seen)) => {
                let verified_at = seen.verified_at.min(*recorded_at);
                if self.observation.is_none_or(|last| verified_at >= last.verified_at) {
                    let (state, position) = (seen.state, recorded.position);
                    self.observation = Some(Observation { state, verified_at, position });
                }
            }
            AnyEvent::Workspace(WorkspaceEvent::LedgerBlind(blind)) => {
                self.blind.add(blind.from, blind.to);
            }
            AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(catalog)) => {
                self.catalog = projector::parse(&catalog.content)?;
            }
            AnyEvent::Workspace(_)
            | AnyEvent::Worker(_)
            | AnyEvent::Erasure(_)
            | AnyEvent::Archive(_) => {}
        }
        Ok(())
    }

    fn freshness(&self, at: Moment) -> FreshnessThen {
        let deadline = deadline(&self.run, &self.blind);
        FreshnessThen { freshness: freshness(&self.run, deadline, at) }
    }

    fn verdict(&self) -> VerdictThen {
        let operation =
            self.catalog.operation(self.run.operation.as_ref().map_or("", Name::as_str));
        let superseding = self
            .others
            .iter()
            .filter(|(_, (_, other))| may_supersede(&self.run, other, &operation))
            .min_by_key(|(_, (first, other))| (other.dispatched_at, *first))
            .map(|(id, (_, other))| Superseding {
                run_id: *id,
                dispatched_at: other.dispatched_at,
                ended_at: other
                    .completion
                    .as_ref()
                    .map_or(other.dispatched_at, |end| end.recorded_at),
            });
        let evidence = Evidence { superseding, observation: self.observation };
        let verdict = actionability(&self.run, &operation, &evidence);
        VerdictThen { follow_up: is_follow_up(verdict.status), verdict }
    }
}

/// Tells the life of a run from all that bears on it, in the order of the log, until `at`.
fn tell(mut story: Story, events: &[Recorded], at: Moment) -> Result<Timeline, ProjectionError> {
    let mut timeline = Timeline {
        run_id: story.id,
        recorded: Vec::new(),
        more_recorded: 0,
        freshness: Vec::new(),
        actionability: Vec::new(),
        queue: None,
    };
    for (place, event) in events.iter().enumerate() {
        story.apply(event)?;
        let own = event.stream.run_id() == Some(story.id);
        if own {
            timeline.note(event, &story.run);
        }
        if !story.run.exists() {
            continue;
        }
        let now = event.fact.recorded_at;
        let because = Cause::Event {
            position: event.position,
            event_type: event.fact.event.event_type(),
            run_id: event.stream.run_id(),
        };
        begin(&mut timeline.freshness, now, story.freshness(now), &because);
        begin(&mut timeline.actionability, now, story.verdict(), &because);
        let next = events.get(place + 1).map(|next| next.fact.recorded_at);
        let passed = deadline(&story.run, &story.blind).filter(|deadline| {
            *deadline > now && *deadline <= at && next.is_none_or(|next| *deadline < next)
        });
        if let Some(deadline) = passed {
            begin(&mut timeline.freshness, deadline, story.freshness(deadline), &Cause::Deadline);
        }
    }
    Ok(timeline)
}

impl Timeline {
    fn note(&mut self, event: &Recorded, run: &Run) {
        if self.recorded.len() == Self::ENTRIES {
            self.more_recorded += 1;
            return;
        }
        let Fact { occurred_at, recorded_at, event: what } = &event.fact;
        self.recorded.push(Entry {
            position: event.position,
            event_type: what.event_type(),
            occurred_at: *occurred_at,
            recorded_at: *recorded_at,
            status: run.status,
            outcome: run.outcome,
        });
    }
}

/// Begins a period, unless nothing has changed. One that ends when it begins was never seen: the
/// next takes its place.
fn begin<T: PartialEq>(periods: &mut Vec<Period<T>>, from: Moment, was: T, because: &Cause) {
    if periods.last().is_some_and(|last| last.was == was) {
        return;
    }
    if periods.last().is_some_and(|last| last.from == from) {
        periods.pop();
        // What was so before goes on if it is so again.
        if let Some(last) = periods.last_mut()
            && last.was == was
        {
            last.until = None;
            return;
        }
    }
    if let Some(last) = periods.last_mut() {
        last.until = Some(from);
    }
    periods.push(Period { from, until: None, was, because: because.clone() });
}

//! The recorded truth of one run: the fold of its stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ExternalId, Fields, FollowUpAction, Progress, Reconciled, Related};
use crate::catalog::Lifecycle;
use crate::time::Moment;
use crate::words::{Name, Note, Outcome, RunId, Signal, Status, Subject, UniqueMode};

/// What one run's stream says. Everything in it is history; nothing depends on the time now.
///
/// The default is a run that nobody has heard of: it has no [`Run::operation`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Canonical operation type; none while the run is unknown.
    pub operation: Option<Name>,
    /// Its environment; none is the workspace itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// What it acts on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// What it was asked to produce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Name>,
    /// The queue that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Name>,
    /// That queue's connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Name>,
    /// The class or function that does the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_class: Option<Name>,
    /// Whether its dispatch was inferred from a signal, and its true one has not come.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
    /// The reservation that it holds while it is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<UniqueMode>,
    /// The run that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_run_id: Option<RunId>,
    /// The run that it tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
    /// Which try of the same work it is.
    pub attempt: u32,
    /// Who or what asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiator: Option<Name>,
    /// Free labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Note>,
    /// What other systems call it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// The windows of the dispatch that counts.
    pub lifecycle: Lifecycle,
    /// Queued, running or completed.
    pub status: Status,
    /// How it ended.
    pub outcome: Outcome,
    /// Its dispatch time: the earliest effective time among its true dispatch and its signals.
    pub dispatched_at: Moment,
    /// When the dispatch that counts was recorded; the queue window runs from here.
    pub dispatch_recorded_at: Moment,
    /// Its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// When its last sign of life (start or recorded heartbeat) was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sign_of_life: Option<Moment>,
    /// The last recorded progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Its first terminal truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<Completion>,
    /// The latest effective time of its terminal truth and of the late signals that disagree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Moment>,
    /// Terminal signals that came after it was completed, each outcome once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<LateWord>,
    /// The last recorded decision of an adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation: Option<Box<Reconciled>>,
    /// An adapter's proof of success, recorded after it had completed with a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The last follow-up event that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_up: Option<FollowUp>,
    /// How many events its stream holds.
    pub events: u32,
}

impl Default for Run {
    fn default() -> Self {
        Run {
            operation: None,
            environment: None,
            subject: None,
            fingerprint: None,
            queue: None,
            connection: None,
            job_class: None,
            inferred: false,
            unique: None,
            parent_run_id: None,
            retry_of: None,
            attempt: 1,
            initiator: None,
            labels: BTreeMap::new(),
            external_ids: Vec::new(),
            lifecycle: Lifecycle::default(),
            status: Status::Queued,
            outcome: Outcome::Pending,
            dispatched_at: Moment::EPOCH,
            dispatch_recorded_at: Moment::EPOCH,
            start: None,
            last_sign_of_life: None,
            progress: None,
            completion: None,
            settled_at: None,
            late: Vec::new(),
            reconciliation: None,
            proof: None,
            follow_up: None,
            events: 0,
        }
    }
}

impl Run {
    /// Whether the ledger has heard of it.
    pub fn exists(&self) -> bool {
        self.operation.is_some()
    }

    /// Whether it has not ended.
    pub fn is_active(&self) -> bool {
        self.exists() && self.status != Status::Completed
    }

    /// Whether a late signal *contradicts* it. An unknown outcome, no later word contradicts.
    pub fn is_contradicted(&self) -> bool {
        self.outcome != Outcome::Unknown && self.late.iter().any(|late| !late.agrees)
    }

    /// Whether it is a success that nothing contradicts: what may supersede a problem.
    pub fn is_plain_success(&self) -> bool {
        self.outcome == Outcome::Succeeded && !self.is_contradicted()
    }

    /// The outcomes of late signals that differ from its own.
    pub fn differing_late_outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.late.iter().map(|late| late.outcome).filter(|outcome| *outcome != self.outcome)
    }

    /// Whether a reconciliation, and no signal, gave it its outcome.
    pub fn is_reconciled(&self) -> bool {
        self.completion.as_ref().is_some_and(|end| matches!(end.by, CompletedBy::Adapter(_)))
    }

    /// Whether a person's resolution stands.
    pub fn resolution(&self) -> Option<&FollowUp> {
        self.follow_up.as_ref().filter(|word| word.action == FollowUpAction::Resolve)
    }
}

/// How a run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The source's claim.
    pub occurred_at: Moment,
    /// The ledger's clock.
    pub recorded_at: Moment,
    /// The worker that took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Name>,
    /// Whether a heartbeat told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
    /// Whether it was told only after the run had completed. Such a start is none of its queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_completion: bool,
}

/// A run's first terminal truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The source's claim; for a reconciliation the ledger's clock.
    pub occurred_at: Moment,
    /// The ledger's clock.
    pub recorded_at: Moment,
    /// Who told.
    pub by: CompletedBy,
    /// A stable word for why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<Name>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Note>,
    /// Whether the source thinks that trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Counts and states that the source keeps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub summary: Fields,
    /// What it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Related>,
}

/// Who told how a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompletedBy {
    /// A worker or a source.
    Signal(Signal),
    /// The adapter of this name, from domain truth.
    Adapter(Name),
}

/// A terminal signal that came too late to be the historical truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateWord {
    /// The outcome it speaks for.
    pub outcome: Outcome,
    /// Whether it says what the ledger already holds for true.
    pub agrees: bool,
    /// Its effective time.
    pub effective_at: Moment,
    /// The ledger's clock.
    pub recorded_at: Moment,
}

/// An adapter's proof that the work of a problem run is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The adapter that proved it.
    pub adapter: Name,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// The thing that proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
}

/// The last follow-up event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Resolve or reopen.
    pub action: FollowUpAction,
    /// Who said it.
    pub by: Name,
    /// More, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// Why, in a word.
    pub reason: Name,
    /// When it was recorded.
    pub recorded_at: Moment,
}

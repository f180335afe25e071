//! The events of a run, as they are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AdapterDecision, ExternalId, Fields, Named, Progress, Related};
use crate::catalog::Lifecycle;
use crate::fact::{EventKind, EventType};
use crate::time::Moment;
use crate::words::{Name, Note, Outcome, RunId, Signal, Status, Subject, UniqueMode};

/// One immutable fact of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "the payloads carry the documentation")]
pub enum RunEvent {
    #[serde(rename = "run.dispatched")]
    Dispatched(Box<Dispatched>),
    #[serde(rename = "run.started")]
    Started(Started),
    #[serde(rename = "run.heartbeat")]
    Heartbeat(Heartbeat),
    #[serde(rename = "run.succeeded")]
    Succeeded(Succeeded),
    #[serde(rename = "run.failed")]
    Failed(Failed),
    #[serde(rename = "run.cancelled")]
    Cancelled(Cancelled),
    #[serde(rename = "run.ended")]
    Ended(Ended),
    #[serde(rename = "run.reconciled")]
    Reconciled(Box<Reconciled>),
    #[serde(rename = "run.late_signal")]
    LateSignal(LateSignal),
    #[serde(rename = "run.follow_up_resolved")]
    FollowUpResolved(FollowUpRecord),
    #[serde(rename = "run.follow_up_reopened")]
    FollowUpReopened(FollowUpRecord),
}

impl EventKind for RunEvent {
    fn event_type(&self) -> EventType {
        match self {
            RunEvent::Dispatched(_) => EventType::RunDispatched,
            RunEvent::Started(_) => EventType::RunStarted,
            RunEvent::Heartbeat(_) => EventType::RunHeartbeat,
            RunEvent::Succeeded(_) => EventType::RunSucceeded,
            RunEvent::Failed(_) => EventType::RunFailed,
            RunEvent::Cancelled(_) => EventType::RunCancelled,
            RunEvent::Ended(_) => EventType::RunEnded,
            RunEvent::Reconciled(_) => EventType::RunReconciled,
            RunEvent::LateSignal(_) => EventType::RunLateSignal,
            RunEvent::FollowUpResolved(_) => EventType::RunFollowUpResolved,
            RunEvent::FollowUpReopened(_) => EventType::RunFollowUpReopened,
        }
    }
}

/// A run was asked for, or, if `inferred`, a signal told that it must have been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispatched {
    /// Which try of the same work this is, from 1.
    pub attempt: u32,
    /// How it was handed to a queue.
    pub dispatch: DispatchRecord,
    /// The environment it belongs to; none is the workspace itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// What other systems call this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// A hash of what it was asked to produce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Name>,
    /// Whether a signal told of it, and no dispatch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
    /// Who or what asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<Name>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Note>,
    /// The windows in force, so that a later catalog cannot rewrite the past.
    pub lifecycle: Lifecycle,
    /// Canonical name of the operation type.
    pub operation: Name,
    /// The run that this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_run_id: Option<RunId>,
    /// The run that this one tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
    /// What it acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The reservation that it holds while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<UniqueMode>,
}

/// How a run was handed to a queue. Nothing in it is invented: what was not told is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DispatchRecord {
    /// The queue's connection, where the system has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Name>,
    /// Version of the correlation that the dispatcher puts into its job.
    pub correlation_version: u32,
    /// When it was handed over, as its source says.
    pub dispatched_at: Moment,
    /// The class or function that does the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_class: Option<Name>,
    /// The queue's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Name>,
    /// The run itself, as the job carries it.
    pub run_id: RunId,
}

/// A run began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// Which try this is, where the source counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What this signal filled in: of an inferred run what was open, of any run new external ids.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub fills: Named,
    /// Whether a heartbeat told of it, and no start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
    /// The worker that took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Name>,
}

/// A run is alive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// What this signal filled in: of an inferred run what was open, of any run new external ids.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub fills: Named,
    /// How far it is; none leaves it as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// A run did what it was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Succeeded {
    /// What it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Related>,
    /// What this signal filled in: of an inferred run what was open, of any run new external ids.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub fills: Named,
    /// Counts and states it wants to keep.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub summary: Fields,
}

/// A run ended with a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// What this signal filled in: of an inferred run what was open, of any run new external ids.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub fills: Named,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Note>,
    /// `failed`, `partially_succeeded` or `blocked`.
    pub outcome: Outcome,
    /// A stable word for programs.
    pub reason_code: Name,
    /// Whether the source thinks that trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
}

/// A run was stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Who stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Name>,
    /// What this signal filled in: of an inferred run what was open, of any run new external ids.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub fills: Named,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
}

/// A run ended; the source does not say how. Never read as success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// What this signal filled in: of an inferred run what was open, of any run new external ids.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub fills: Named,
    /// What the source says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
}

/// An adapter's decision: the one reconciliation shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The adapter that decided.
    pub adapter: Name,
    /// Its version.
    pub adapter_version: u32,
    /// What it found.
    pub decision: AdapterDecision,
    /// When it looked.
    pub evaluated_at: Moment,
    /// What it saw, within the allowlist.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: Fields,
    /// Status and outcome before it.
    pub previous: PreviousTruth,
    /// A stable word for why.
    pub reason_code: Name,
    /// The thing that proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
}

/// What was recorded of a run before a reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousTruth {
    /// Its outcome.
    pub outcome: Outcome,
    /// Its status.
    pub status: Status,
}

/// A terminal signal that came after the run was completed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LateSignal {
    /// Whether it says what the ledger already holds for true.
    pub agrees: bool,
    /// What the signal carried.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
    /// What this signal filled in: of an inferred run what was open, of any run new external ids.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub fills: Named,
    /// The outcome it speaks for.
    pub outcome: Outcome,
    /// Which signal it was.
    pub signal: Signal,
}

/// A person's word on current truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FollowUpRecord {
    /// Who said it.
    pub by: Name,
    /// More, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// Why, in a word.
    pub reason: Name,
}

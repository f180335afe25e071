//! What may be asked of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AdapterDecision, ExternalId, Fields, Progress, Related};
use crate::time::Moment;
use crate::words::{Name, Note, Outcome, RunId, Signal, Subject, UniqueMode, words};

/// A command on a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunCommand {
    /// A dispatch: the run was asked for.
    Dispatch(Box<Dispatch>),
    /// A signal: a worker or a source reports.
    Signal(Box<SignalReport>),
    /// A person's word.
    FollowUp(FollowUpCommand),
    /// An adapter's decision. Only the reconciliation seam makes one.
    Reconcile(Box<Reconcile>),
}

/// What a dispatch or a signal names of the run it speaks of. What is left out is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The queue's connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Name>,
    /// The environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// What other systems call it. They never contradict each other: each one that the run does
    /// not have yet is one more, on any run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// The fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Name>,
    /// The class or function that does the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_class: Option<Name>,
    /// The operation type; an alias is resolved before anything is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Name>,
    /// The queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Name>,
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
}

impl Named {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        *self == Named::default()
    }
}

/// What else is known of a run when it is first heard of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Which try of the same work this is, from 1.
    pub attempt: Option<u32>,
    /// Who or what asked for it.
    pub initiator: Option<Name>,
    /// Free labels.
    pub labels: BTreeMap<Name, Note>,
    /// The run that this one is a part of.
    pub parent_run_id: Option<RunId>,
    /// The run that this one tries again.
    pub retry_of: Option<RunId>,
    /// Whether it has no expected end (a streaming job): its windows are then not known.
    pub endless: bool,
}

/// The run was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// Version of the correlation that the dispatcher puts into its job.
    pub correlation_version: u32,
    /// Its operation type; an alias is resolved.
    pub operation: Name,
    /// Environment, subject, fingerprint, queue and external ids. An operation in here does not
    /// count.
    pub named: Named,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether to land on the active run of the same key instead.
    pub unique: Option<UniqueMode>,
}

/// A worker or a source reports. Names and origin matter where the run is not known yet.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalReport {
    /// What the signal names of its run.
    pub named: Named,
    /// Where the run comes from, for the inferred dispatch.
    pub origin: Origin,
    /// What it says.
    pub report: Report,
}

/// What a signal says.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the events of the same name")]
pub enum Report {
    Started { attempt: Option<u32>, worker: Option<Name> },
    Heartbeat { progress: Option<Progress> },
    Succeeded { artifacts: Vec<Related>, summary: Fields },
    Failed { message: Option<Note>, outcome: Outcome, reason_code: Name, retryable: Option<bool> },
    Cancelled { by: Option<Name>, reason: Option<Note> },
    Ended { reason: Option<Note> },
}

impl Report {
    /// Which signal it is.
    pub const fn signal(&self) -> Signal {
        match self {
            Report::Started { .. } => Signal::Started,
            Report::Heartbeat { .. } => Signal::Heartbeat,
            Report::Succeeded { .. } => Signal::Succeeded,
            Report::Failed { .. } => Signal::Failed,
            Report::Cancelled { .. } => Signal::Cancelled,
            Report::Ended { .. } => Signal::Ended,
        }
    }

    /// The outcome that a terminal signal speaks for; none if it is not terminal.
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Report::Started { .. } | Report::Heartbeat { .. } => None,
            Report::Succeeded { .. } => Some(Outcome::Succeeded),
            Report::Failed { outcome, .. } => Some(*outcome),
            Report::Cancelled { .. } => Some(Outcome::Cancelled),
            Report::Ended { .. } => Some(Outcome::Unknown),
        }
    }
}

words! {
    /// What a person says of a follow-up.
    FollowUpAction {
        /// Nothing is left to do.
        Resolve = "resolve",
        /// There is, after all.
        Reopen = "reopen",
    }
}

/// A person's word on a completed run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUpCommand {
    /// Resolve or reopen.
    pub action: FollowUpAction,
    /// Who says it.
    pub by: Name,
    /// More, for people.
    pub note: Option<Note>,
    /// Why, in a word.
    pub reason: Name,
    /// Refuse to resolve what is resolved already. Somebody who acts here is told that it is; what
    /// a source reports of people who differ is recorded, and the last word holds.
    pub unless_resolved: bool,
}

/// An adapter's decision on a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconcile {
    /// The adapter that decided.
    pub adapter: Name,
    /// Its version.
    pub adapter_version: u32,
    /// What it found.
    pub decision: AdapterDecision,
    /// When it looked.
    pub evaluated_at: Moment,
    /// What it saw, within the allowlist.
    pub evidence: Fields,
    /// How many events the run had when it was judged. If it has more by now, the decision is made
    /// again, never forced. None: whatever it has.
    pub expected_events: Option<u32>,
    /// A stable word for why.
    pub reason_code: Name,
    /// The thing that proves it.
    pub related: Option<Related>,
}

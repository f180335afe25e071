//! The aggregate `run` (DESIGN section 3): what its stream says, and what may be added to it.
//!
//! [`Run`] is the fold of one run's events, used both to decide on the next command and, by the
//! read models, as the recorded truth of the run. The ledger observes; it does not orchestrate. So
//! signals are taken in any order, and the only answers are events, a duplicate, or a refusal.

mod apply;
mod command;
mod decide;
mod event;
mod reconcile;
mod reservation;
mod state;
#[cfg(test)]
mod tests;

pub use command::{
    Dispatch, FollowUpAction, FollowUpCommand, Named, Origin, Reconcile, Report, RunCommand,
    SignalReport,
};
pub(crate) use decide::NOT_DISPATCHED;
pub use decide::{Decision, RunContext, RunRefusal};
pub use event::{
    Cancelled, DispatchRecord, Dispatched, Ended, Failed, FollowUpRecord, Heartbeat, LateSignal,
    PreviousTruth, Reconciled, RunEvent, Started, Succeeded,
};
pub use reservation::ReservationKey;
pub use state::{CompletedBy, Completion, FollowUp, LateWord, Proof, Run, Start};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::{Name, Outcome, words};

/// How far a run says that it is. Its fields replace each other whole (DESIGN section 8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Units done, of [`Progress::total`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// Name to `[done, total]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[serde(deserialize_with = "crate::words::each_once")]
    pub parts: BTreeMap<Name, (u64, u64)>,
    /// What it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Name>,
    /// Units to do in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl Progress {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Progress::default()
    }
}

/// A thing that something points at: a run's artifact, or what a reconciliation relates it to.
pub type Related = crate::words::Subject;

/// A small, flat record of what a source or an adapter says: identifiers, states, counts, times.
pub type Fields = BTreeMap<Name, Scalar>;

/// One value of [`Fields`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Flag(bool),
    /// A whole number within 2^53.
    Number(i64),
    /// A short text.
    Text(crate::words::Note),
}

/// Most external ids that a run takes over from later reports.
pub const EXTERNAL_IDS: usize = 64;

/// The id that another system knows a run by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalId {
    /// The id itself.
    pub id: Name,
    /// What kind of id it is: `job`, `run`, `delivery`.
    pub kind: Name,
    /// The system whose id it is.
    pub source: Name,
}

words! {
    /// What an adapter found (DESIGN section 9).
    AdapterDecision {
        /// The work is there.
        Succeeded = "succeeded",
        /// A part of it is.
        PartiallySucceeded = "partially_succeeded",
        /// It failed.
        Failed = "failed",
        /// Something that it needs was missing.
        Blocked = "blocked",
        /// It ended, and nothing can say how.
        Unknown = "unknown",
        /// A person must look; nothing is proven.
        NeedsAttention = "needs_attention",
        /// Nothing to say.
        NoChange = "no_change",
    }
}

impl AdapterDecision {
    /// The outcome that it gives an active run; none if it does not complete one.
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            AdapterDecision::Succeeded => Some(Outcome::Succeeded),
            AdapterDecision::PartiallySucceeded => Some(Outcome::PartiallySucceeded),
            AdapterDecision::Failed => Some(Outcome::Failed),
            AdapterDecision::Blocked => Some(Outcome::Blocked),
            AdapterDecision::Unknown => Some(Outcome::Unknown),
            AdapterDecision::NeedsAttention | AdapterDecision::NoChange => None,
        }
    }
}

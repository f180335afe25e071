//! The aggregate `subject`: what was seen of the things that runs act on (DESIGN section 3).
//!
//! Its streams are per scope: the same subject in two environments is observed twice.

use serde::{Deserialize, Serialize};

use crate::fact::{EventKind, EventType, Fact};
use crate::run::Fields;
use crate::time::Moment;
use crate::words::{Name, Subject, words};

words! {
    /// What was seen of a subject.
    SubjectState {
        /// It is there, and well.
        Healthy = "healthy",
        /// It is there, and not well.
        Unhealthy = "unhealthy",
        /// It is not there.
        Absent = "absent",
    }
}

/// A subject in one scope of a workspace: the identity of its stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubjectKey {
    /// The environment; none is the workspace itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// The subject.
    pub subject: Subject,
}

/// One immutable fact of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum SubjectEvent {
    /// Somebody looked.
    #[serde(rename = "subject.observed")]
    Observed(Observed),
}

impl EventKind for SubjectEvent {
    fn event_type(&self) -> EventType {
        match self {
            SubjectEvent::Observed(_) => EventType::SubjectObserved,
        }
    }
}

/// What was seen of a subject, when and by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// What the verdict rests on, within the allowlist.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub evidence: Fields,
    /// Whose stream it is in.
    #[serde(flatten)]
    pub key: SubjectKey,
    /// What was seen.
    pub state: SubjectState,
    /// When it was seen, by the verifier's clock.
    pub verified_at: Moment,
    /// Who or what looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<Name>,
}

/// What may be asked of a subject: to note an observation of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observe {
    /// What the verdict rests on.
    pub evidence: Fields,
    /// What was seen.
    pub state: SubjectState,
    /// When it was seen; left out, when it happened.
    pub verified_at: Option<Moment>,
    /// Who or what looked.
    pub verifier: Option<Name>,
}

/// Records an observation: each is news, even if it says the same as the last one.
pub fn observe(
    key: &SubjectKey,
    command: &Observe,
    occurred_at: Moment,
    recorded_at: Moment,
) -> Fact<SubjectEvent> {
    let event = SubjectEvent::Observed(Observed {
        evidence: command.evidence.clone(),
        key: key.clone(),
        state: command.state,
        verified_at: command.verified_at.unwrap_or(occurred_at),
        verifier: command.verifier.clone(),
    });
    Fact { occurred_at, recorded_at, event }
}

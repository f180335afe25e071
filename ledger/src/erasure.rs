//! The aggregate `erasure` (specs/0024): bodies give way to tombstones, and their hashes stay.
//!
//! One person asks, with a reason and a legal basis, another one approves, and then it is carried
//! out, each step an event. The two are told apart by who the events say has acted. What is asked
//! for is named by streams and positions, never by what is to be forgotten: the log keeps it.

mod carry_out;
mod redact;
mod steps;

pub use carry_out::{empty, is_emptied, order};
pub use redact::{RedactError, tombstone};
pub use steps::{ErasureError, What, approve, complete, load, request};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Actor, AggregateType, AnyEvent, Recorded, Stream};
use crate::fact::{EventKind, EventType, Fact};
use crate::time::{Moment, Span};
use crate::words::Note;

/// How long a request may wait for its approval, and an approval to be carried out.
pub const PATIENCE: Span = Span::from_secs(7 * 86_400);
/// Most streams and positions that one request names.
pub const MOST_NAMED: usize = 500;
/// Bodies that one part names: what fits into an event.
const PART: usize = 400;

/// One immutable fact of an erasure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ErasureEvent {
    /// Somebody asked for it.
    #[serde(rename = "erasure.requested")]
    Requested(Requested),
    /// Somebody else approved it.
    #[serde(rename = "erasure.approved")]
    Approved(Approved),
    /// Which bodies give way to which tombstones.
    #[serde(rename = "erasure.executed")]
    Executed(Executed),
    /// They have, and what was derived from them was derived again.
    #[serde(rename = "erasure.completed")]
    Completed(Completed),
}

impl EventKind for ErasureEvent {
    fn event_type(&self) -> EventType {
        match self {
            ErasureEvent::Requested(_) => EventType::ErasureRequested,
            ErasureEvent::Approved(_) => EventType::ErasureApproved,
            ErasureEvent::Executed(_) => EventType::ErasureExecuted,
            ErasureEvent::Completed(_) => EventType::ErasureCompleted,
        }
    }
}

/// Somebody asked for an erasure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requested {
    /// Events that it was about when it was asked for.
    pub events: u64,
    /// When it may not be approved or begun any more.
    pub expires_at: Moment,
    /// By what right or duty.
    pub legal_basis: Note,
    /// Single events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<u64>,
    /// Why.
    pub reason: Note,
    /// Whole streams, also what they get until it is carried out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<Named>,
    /// Whether the subject of these events goes as well, and not only what is said of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub subject: bool,
}

/// A stream by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    /// Which one of its kind.
    pub id: Uuid,
    /// Of which kind it is.
    pub kind: AggregateType,
}

impl From<Stream> for Named {
    fn from(Stream { kind, id }: Stream) -> Self {
        Named { id, kind }
    }
}

impl From<Named> for Stream {
    fn from(Named { id, kind }: Named) -> Self {
        Stream { kind, id }
    }
}

/// Somebody else approved it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Approved {
    /// What was said before approvals needed a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// Why, in the words of whoever approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
}

/// Which bodies give way to which tombstones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Executed {
    /// The bodies.
    pub bodies: Vec<Body>,
    /// Whether it is the last part.
    pub last: bool,
    /// Its number, from 1.
    pub part: u64,
}

/// One body that gives way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Its position.
    pub position: u64,
    /// SHA-256 of the tombstone, in hexadecimal.
    pub tombstone: String,
}

/// They have given way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    /// How many bodies were erased.
    pub bodies: u64,
}

crate::words::words! {
    /// How far an erasure is.
    ErasureState {
        /// It waits for somebody else to approve it.
        Requested = "requested",
        /// It may be carried out.
        Approved = "approved",
        /// The log names what is erased; not all of it is yet.
        Executing = "executing",
        /// It is done.
        Completed = "completed",
        /// Its time was over before it was approved or begun.
        Expired = "expired",
    }
}

/// What the stream of an erasure says.
#[derive(Clone, Debug, PartialEq)]
pub struct Erasure {
    /// Its id.
    pub id: Uuid,
    /// What was asked for.
    pub requested: Requested,
    /// Who asked.
    pub requested_by: Option<Actor>,
    /// When.
    pub requested_at: Moment,
    /// Who approved, and when; none if nobody has.
    pub approved: Option<(Option<Actor>, Moment)>,
    /// The parts, in their order.
    pub parts: Vec<Executed>,
    /// When it was done.
    pub completed_at: Option<Moment>,
    /// Events of its stream.
    pub events: u64,
}

impl Erasure {
    /// What `events`, its stream, say; none if there are none.
    pub fn fold(id: Uuid, events: &[Recorded]) -> Option<Erasure> {
        let mut erasure: Option<Erasure> = None;
        for event in events {
            let Fact { recorded_at, event: AnyEvent::Erasure(fact), .. } = &event.fact else {
                continue;
            };
            match (fact, &mut erasure) {
                (ErasureEvent::Requested(requested), None) => {
                    erasure = Some(Erasure {
                        id,
                        requested: requested.clone(),
                        requested_by: event.actor.clone(),
                        requested_at: *recorded_at,
                        approved: None,
                        parts: Vec::new(),
                        completed_at: None,
                        events: 0,
                    });
                }
                (ErasureEvent::Approved(_), Some(erasure)) => {
                    erasure.approved = Some((event.actor.clone(), *recorded_at));
                }
                (ErasureEvent::Executed(part), Some(erasure)) => erasure.parts.push(part.clone()),
                (ErasureEvent::Completed(_), Some(erasure)) => {
                    erasure.completed_at = Some(*recorded_at);
                }
                _ => {}
            }
            if let Some(erasure) = &mut erasure {
                erasure.events += 1;
            }
        }
        erasure
    }

    /// How far it is at `now`.
    pub fn state(&self, now: Moment) -> ErasureState {
        match self {
            Erasure { completed_at: Some(_), .. } => ErasureState::Completed,
            Erasure { parts, .. } if !parts.is_empty() => ErasureState::Executing,
            Erasure { requested, .. } if now >= requested.expires_at => ErasureState::Expired,
            Erasure { approved: Some(_), .. } => ErasureState::Approved,
            _ => ErasureState::Requested,
        }
    }

    /// Whether the log names everything that is erased.
    pub fn is_ordered(&self) -> bool {
        self.parts.last().is_some_and(|part| part.last)
    }

    /// How many bodies the log names.
    pub fn bodies(&self) -> u64 {
        self.parts.iter().map(|part| part.bodies.len() as u64).sum()
    }
}

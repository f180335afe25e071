//! The aggregate `worker`: who is there to take runs from queues (DESIGN sections 3 and 6).
//!
//! A worker reports about twice per lease. Every report is recorded, and its last one replaces
//! queues and lease.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fact::{EventKind, EventType, Fact};
use crate::time::{Moment, Span};
use crate::words::Name;

/// Most queues that one worker may name.
pub const QUEUES_PER_WORKER: usize = 256;
/// The longest lease: a day.
pub const LONGEST_LEASE: Span = Span::from_secs(86_400);

/// A worker on its connection: the identity of its stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerKey {
    /// The connection whose queues it takes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Name>,
    /// Its name there.
    pub worker: Name,
}

/// One immutable fact of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum WorkerEvent {
    /// It is there.
    #[serde(rename = "worker.seen")]
    Seen(Seen),
    /// It goes.
    #[serde(rename = "worker.stopped")]
    Stopped(Stopped),
}

impl EventKind for WorkerEvent {
    fn event_type(&self) -> EventType {
        match self {
            WorkerEvent::Seen(_) => EventType::WorkerSeen,
            WorkerEvent::Stopped(_) => EventType::WorkerStopped,
        }
    }
}

/// A worker is there, for as long as its lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Whose stream it is in.
    #[serde(flatten)]
    pub key: WorkerKey,
    /// How long it may be silent, in seconds.
    pub lease_seconds: u32,
    /// The queues that it takes from, on its own connection.
    pub queues: BTreeSet<Name>,
}

/// A worker goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// Whose stream it is in.
    #[serde(flatten)]
    pub key: WorkerKey,
}

/// What may be asked of a worker's stream: to note its report.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerReport {
    /// It is there.
    Seen {
        /// How long it may be silent, in seconds.
        lease_seconds: u32,
        /// The queues that it takes from.
        queues: BTreeSet<Name>,
    },
    /// It goes.
    Stopped,
}

/// Records a worker's report.
pub fn report(
    key: &WorkerKey,
    command: &WorkerReport,
    occurred_at: Moment,
    recorded_at: Moment,
) -> Fact<WorkerEvent> {
    let event = match command {
        WorkerReport::Seen { lease_seconds, queues } => WorkerEvent::Seen(Seen {
            key: key.clone(),
            lease_seconds: *lease_seconds,
            queues: queues.clone(),
        }),
        WorkerReport::Stopped => WorkerEvent::Stopped(Stopped { key: key.clone() }),
    };
    Fact { occurred_at, recorded_at, event }
}

//! A fact: an event together with its two times.

use serde::{Deserialize, Serialize};

use crate::time::Moment;

/// An event, when its source says that it happened, and when the ledger recorded it.
///
/// It is what [`cqrs_es::DomainEvent`] is implemented for: an aggregate needs the times of what it
/// applies, and never asks a clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact<E> {
    /// The source's claim.
    pub occurred_at: Moment,
    /// The ledger's clock; it never decreases within a workspace.
    pub recorded_at: Moment,
    /// What happened.
    #[serde(flatten)]
    pub event: E,
}

impl<E> Fact<E> {
    /// `min(occurred_at, recorded_at)`: the time that the rules compare (DESIGN section 1).
    pub fn effective_at(&self) -> Moment {
        self.occurred_at.min(self.recorded_at)
    }
}

/// What every kind of event says of itself.
pub trait EventKind {
    /// Its stored name, such as `run.started`.
    fn event_type(&self) -> EventType;
}

crate::words::words! {
    /// The name of every event, as stored.
    EventType {
        /// A run was asked for.
        RunDispatched = "run.dispatched",
        /// A run began.
        RunStarted = "run.started",
        /// A run is alive.
        RunHeartbeat = "run.heartbeat",
        /// A run succeeded.
        RunSucceeded = "run.succeeded",
        /// A run failed, in part or whole, or was blocked.
        RunFailed = "run.failed",
        /// A run was stopped.
        RunCancelled = "run.cancelled",
        /// A run ended; how is not known.
        RunEnded = "run.ended",
        /// An adapter proved something of a run.
        RunReconciled = "run.reconciled",
        /// A terminal signal came after the run was completed.
        RunLateSignal = "run.late_signal",
        /// A person said that nothing is left to do.
        RunFollowUpResolved = "run.follow_up_resolved",
        /// A person took that back.
        RunFollowUpReopened = "run.follow_up_reopened",
        /// Somebody looked at a subject.
        SubjectObserved = "subject.observed",
        /// A worker said that it is there.
        WorkerSeen = "worker.seen",
        /// A worker said that it goes.
        WorkerStopped = "worker.stopped",
        /// A workspace was made.
        WorkspaceCreated = "workspace.created",
        /// The ledger could not listen for a while.
        WorkspaceLedgerBlind = "workspace.ledger_blind",
        /// A catalog came into force.
        CatalogPublished = "catalog.published",
        /// A token was made.
        TokenCreated = "token.created",
        /// A token was taken out of use.
        TokenRevoked = "token.revoked",
        /// Somebody was given a role.
        MemberGranted = "member.granted",
        /// Somebody's role was taken away.
        MemberRemoved = "member.removed",
        /// Who can sign in, or how, was changed.
        PersonChanged = "person.changed",
        /// An audit pack was read.
        AuditPackRead = "audit_pack.read",
        /// A saved view of somebody else was taken away.
        ViewRemoved = "view.removed",
        /// Other keys sign the checkpoints of the log.
        KeyRotated = "key.rotated",
        /// Somebody said from which checkpoint on the log is signed.
        CheckpointAccepted = "checkpoint.accepted",
        /// Somebody kept what an authority said of when a checkpoint was there.
        CheckpointTimestamped = "checkpoint.timestamped",
        /// Somebody asked for an erasure.
        ErasureRequested = "erasure.requested",
        /// Somebody else approved it.
        ErasureApproved = "erasure.approved",
        /// Which bodies give way to which tombstones.
        ErasureExecuted = "erasure.executed",
        /// They have, and so have the copies.
        ErasureCompleted = "erasure.completed",
        /// Somebody ordered that bodies give way to an archive.
        ArchiveOrdered = "archive.ordered",
        /// They have.
        ArchiveDropped = "archive.dropped",
        /// They were put back.
        ArchiveRestored = "archive.restored",
    }
}

impl EventType {
    /// The small integer that stands for it in the database. Never reused, never changed.
    pub const fn number(self) -> i16 {
        match self {
            EventType::RunDispatched => 1,
            EventType::RunStarted => 2,
            EventType::RunHeartbeat => 3,
            EventType::RunSucceeded => 4,
            EventType::RunFailed => 5,
            EventType::RunCancelled => 6,
            EventType::RunEnded => 7,
            EventType::RunReconciled => 8,
            EventType::RunLateSignal => 9,
            EventType::RunFollowUpResolved => 10,
            EventType::RunFollowUpReopened => 11,
            EventType::SubjectObserved => 20,
            EventType::WorkerSeen => 30,
            EventType::WorkerStopped => 31,
            EventType::WorkspaceCreated => 40,
            EventType::WorkspaceLedgerBlind => 41,
            EventType::CatalogPublished => 42,
            EventType::TokenCreated => 43,
            EventType::TokenRevoked => 44,
            EventType::MemberGranted => 45,
            EventType::MemberRemoved => 46,
            EventType::PersonChanged => 50,
            EventType::AuditPackRead => 51,
            EventType::KeyRotated => 52,
            EventType::CheckpointAccepted => 53,
            EventType::CheckpointTimestamped => 54,
            EventType::ViewRemoved => 55,
            EventType::ErasureRequested => 60,
            EventType::ErasureApproved => 61,
            EventType::ErasureExecuted => 62,
            EventType::ErasureCompleted => 63,
            EventType::ArchiveOrdered => 70,
            EventType::ArchiveDropped => 71,
            EventType::ArchiveRestored => 72,
        }
    }

    /// The type that `number` stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        EventType::ALL.iter().copied().find(|kind| kind.number() == number)
    }
}

//! An event as it is stored: its envelope, its bytes, and how they are read back.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::archive::ArchiveEvent;
use crate::canonical::{self, CanonicalError};
use crate::erasure::ErasureEvent;
use crate::fact::{EventKind, EventType, Fact};
use crate::merkle::{Hash, leaf_hash};
use crate::run::RunEvent;
use crate::subject::{SubjectEvent, SubjectKey};
use crate::time::Moment;
use crate::words::{Name, RunId, WorkspaceId, words};
use crate::worker::{WorkerEvent, WorkerKey};
use crate::workspace::WorkspaceEvent;

/// Most bytes of an event, set by the two length bytes of the export format (C2SP tlog-tiles).
pub const EVENT_BYTES: usize = 65_535;
/// The version of the envelope; [`Envelope`] lists its members.
pub const ENVELOPE_VERSION: u8 = 1;

/// An event of any aggregate.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyEvent {
    /// Of a run.
    Run(RunEvent),
    /// Of a subject.
    Subject(SubjectEvent),
    /// Of a worker.
    Worker(WorkerEvent),
    /// Of the workspace itself.
    Workspace(WorkspaceEvent),
    /// Of an erasure.
    Erasure(ErasureEvent),
    /// Of an archive.
    Archive(ArchiveEvent),
}

impl EventKind for AnyEvent {
    fn event_type(&self) -> EventType {
        match self {
            AnyEvent::Run(event) => event.event_type(),
            AnyEvent::Subject(event) => event.event_type(),
            AnyEvent::Worker(event) => event.event_type(),
            AnyEvent::Workspace(event) => event.event_type(),
            AnyEvent::Erasure(event) => event.event_type(),
            AnyEvent::Archive(event) => event.event_type(),
        }
    }
}

impl<E> Fact<E> {
    /// The same fact, of any aggregate.
    pub fn any(self) -> Fact<AnyEvent>
    where
        AnyEvent: From<E>,
    {
        Fact {
            occurred_at: self.occurred_at,
            recorded_at: self.recorded_at,
            event: self.event.into(),
        }
    }
}

macro_rules! into_any {
    ($($event:ident => $variant:ident),+) => {
        $(impl From<$event> for AnyEvent {
            fn from(event: $event) -> Self {
                AnyEvent::$variant(event)
            }
        })+
    };
}
into_any!(
    RunEvent => Run,
    SubjectEvent => Subject,
    WorkerEvent => Worker,
    WorkspaceEvent => Workspace,
    ErasureEvent => Erasure,
    ArchiveEvent => Archive
);

words! {
    /// The six kinds of streams.
    AggregateType {
        /// One run.
        Run = "run",
        /// One subject in one scope.
        Subject = "subject",
        /// One worker on one connection.
        Worker = "worker",
        /// The workspace itself.
        Workspace = "workspace",
        /// One erasure.
        Erasure = "erasure",
        /// One archive.
        Archive = "archive",
    }
}

impl AggregateType {
    /// The small integer that stands for it in the database.
    pub const fn number(self) -> i16 {
        match self {
            AggregateType::Run => 1,
            AggregateType::Subject => 2,
            AggregateType::Worker => 3,
            AggregateType::Workspace => 4,
            AggregateType::Erasure => 5,
            AggregateType::Archive => 6,
        }
    }

    /// The kind that `number` stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        AggregateType::ALL.iter().copied().find(|kind| kind.number() == number)
    }
}

/// The stream of one aggregate in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// Of which kind it is.
    pub kind: AggregateType,
    /// Which one of that kind.
    pub id: Uuid,
}

impl Stream {
    /// The stream of a run.
    pub const fn run(id: RunId) -> Self {
        Stream { kind: AggregateType::Run, id: id.0 }
    }

    /// The stream of the workspace itself.
    pub const fn workspace(id: WorkspaceId) -> Self {
        Stream { kind: AggregateType::Workspace, id: id.0 }
    }

    /// The stream of a subject in its scope.
    pub fn subject(key: &SubjectKey) -> Self {
        let environment = key.environment.as_ref().map(Name::as_str);
        let (kind, id) = (key.subject.kind.as_str(), key.subject.id.as_str());
        Stream { kind: AggregateType::Subject, id: named_id(&[environment, Some(kind), Some(id)]) }
    }

    /// The stream of a worker on its connection.
    pub fn worker(key: &WorkerKey) -> Self {
        let connection = key.connection.as_ref().map(Name::as_str);
        let id = named_id(&[connection, Some(key.worker.as_str())]);
        Stream { kind: AggregateType::Worker, id }
    }

    /// The stream of an erasure.
    pub const fn erasure(id: Uuid) -> Self {
        Stream { kind: AggregateType::Erasure, id }
    }

    /// The stream of an archive.
    pub const fn archive(id: Uuid) -> Self {
        Stream { kind: AggregateType::Archive, id }
    }

    /// The run whose stream it is, if it is one of a run.
    pub fn run_id(self) -> Option<RunId> {
        (self.kind == AggregateType::Run).then_some(RunId(self.id))
    }
}

/// A UUID (version 8) that follows from names.
fn named_id(parts: &[Option<&str>]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        // None and the empty text differ in their length: 0 and 1.
        let length = part.map_or(0, |text| text.len() as u64 + 1);
        hash.update(length.to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Who made a way in say something: a person, a token, the ledger itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// Which one.
    pub id: Name,
    /// Of what kind: `user`, `token`, `adapter`, `system`.
    pub kind: Name,
}

/// All that an event says beside what happened.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The tenant whose log it is in.
    pub workspace: WorkspaceId,
    /// Its place in that log.
    pub position: u64,
    /// Its stream.
    pub stream: Stream,
    /// Its place in that stream, from 1.
    pub sequence: u64,
    /// Who made it happen.
    pub actor: Option<&'a Actor>,
    /// Who sent it, if that is not who it says made it happen.
    pub sender: Option<&'a Actor>,
    /// The source that reported it.
    pub source: Option<&'a Name>,
    /// The id that its source gave it.
    pub event_id: Option<&'a Name>,
    /// 16 random bytes, so that the hash alone does not give small contents away.
    pub nonce: [u8; 16],
}

/// The bytes of an event and their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The canonical bytes: what is stored, hashed, exported and handed out.
    pub body: Vec<u8>,
    /// Their RFC 6962 leaf hash.
    pub leaf_hash: Hash,
}

/// Why an event has no bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Its data has no canonical form.
    #[error("the event's data has no canonical form")]
    Canonical(#[from] CanonicalError),
    /// It is too long.
    #[error("the event has {0} bytes; at most {EVENT_BYTES} can be kept")]
    TooLarge(usize),
}

impl Envelope<'_> {
    /// Writes the event's bytes, members in canonical order, and hashes them.
    pub fn seal(&self, fact: &Fact<AnyEvent>) -> Result<Sealed, SealError> {
        let mut out = Vec::with_capacity(512);
        out.push(b'{');
        who(&mut out, "actor", self.actor);
        text(&mut out, "aggregate_id", &self.stream.id.to_string());
        text(&mut out, "aggregate_type", self.stream.kind.as_str());
        member(&mut out, "data");
        canonical::write(&mut out, &data(&fact.event))?;
        if let Some(id) = self.event_id {
            text(&mut out, "event_id", id.as_str());
        }
        text(&mut out, "nonce", &hex::encode(self.nonce));
        number(&mut out, "occurred_at", fact.occurred_at.micros());
        number(&mut out, "position", self.position);
        number(&mut out, "recorded_at", fact.recorded_at.micros());
        number(&mut out, "schema", 1);
        who(&mut out, "sender", self.sender);
        number(&mut out, "sequence", self.sequence);
        if let Some(source) = self.source {
            text(&mut out, "source", source.as_str());
        }
        text(&mut out, "type", fact.event.event_type().as_str());
        number(&mut out, "v", ENVELOPE_VERSION);
        text(&mut out, "workspace", &self.workspace.to_string());
        out.push(b'}');
        if out.len() > EVENT_BYTES {
            return Err(SealError::TooLarge(out.len()));
        }
        let leaf_hash = leaf_hash(&out);
        Ok(Sealed { body: out, leaf_hash })
    }
}

fn member(out: &mut Vec<u8>, name: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    canonical::write_text(out, name);
    out.push(b':');
}

fn who(out: &mut Vec<u8>, name: &str, actor: Option<&Actor>) {
    let Some(actor) = actor else { return };
    member(out, name);
    out.extend_from_slice(b"{\"id\":");
    canonical::write_text(out, actor.id.as_str());
    out.extend_from_slice(b",\"kind\":");
    canonical::write_text(out, actor.kind.as_str());
    out.push(b'}');
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    member(out, name);
    canonical::write_text(out, value);
}

fn number(out: &mut Vec<u8>, name: &str, value: impl std::fmt::Display) {
    member(out, name);
    out.extend_from_slice(value.to_string().as_bytes());
}

pub(crate) fn data(event: &AnyEvent) -> Value {
    let tagged = match event {
        AnyEvent::Run(event) => serde_json::to_value(event),
        AnyEvent::Subject(event) => serde_json::to_value(event),
        AnyEvent::Worker(event) => serde_json::to_value(event),
        AnyEvent::Workspace(event) => serde_json::to_value(event),
        AnyEvent::Erasure(event) => serde_json::to_value(event),
        AnyEvent::Archive(event) => serde_json::to_value(event),
    };
    tagged.map(|mut tagged| tagged["data"].take()).unwrap_or_default()
}

/// An event read back from the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its place in the log.
    pub position: u64,
    /// Its stream.
    pub stream: Stream,
    /// Its place in that stream, from 1.
    pub sequence: u64,
    /// Who made it happen.
    pub actor: Option<Actor>,
    /// The source that reported it.
    pub source: Option<Name>,
    /// The id that its source gave it.
    pub event_id: Option<Name>,
    /// What happened, and when.
    pub fact: Fact<AnyEvent>,
}

/// Stored bytes that are no event of this ledger: the log has been damaged, or a newer version
/// wrote it.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They are no envelope.
    #[error("the stored bytes are not an event")]
    Envelope(#[source] serde_json::Error),
    /// Their data is not that of their type.
    #[error("the data of a stored {0} event cannot be read")]
    Data(&'static str, #[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Stored<'a> {
    actor: Option<Actor>,
    aggregate_id: Uuid,
    aggregate_type: AggregateType,
    #[serde(borrow)]
    data: &'a RawValue,
    event_id: Option<Name>,
    occurred_at: Moment,
    position: u64,
    recorded_at: Moment,
    sequence: u64,
    source: Option<Name>,
    #[serde(rename = "type")]
    event_type: EventType,
}

impl Recorded {
    /// Reads an event from its stored bytes.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let stored: Stored<'_> = serde_json::from_slice(body).map_err(DecodeError::Envelope)?;
        let data = stored.data.get();
        let event = decode_event(stored.event_type, data)
            .map_err(|error| DecodeError::Data(stored.event_type.as_str(), error))?;
        Ok(Recorded {
            position: stored.position,
            stream: Stream { kind: stored.aggregate_type, id: stored.aggregate_id },
            sequence: stored.sequence,
            actor: stored.actor,
            source: stored.source,
            event_id: stored.event_id,
            fact: Fact { occurred_at: stored.occurred_at, recorded_at: stored.recorded_at, event },
        })
    }
}

fn decode_event(kind: EventType, data: &str) -> Result<AnyEvent, serde_json::Error> {
    fn read<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, serde_json::Error> {
        serde_json::from_str(data)
    }
    Ok(match kind {
        EventType::RunDispatched => AnyEvent::Run(RunEvent::Dispatched(read(data)?)),
        EventType::RunStarted => AnyEvent::Run(RunEvent::Started(read(data)?)),
        EventType::RunHeartbeat => AnyEvent::Run(RunEvent::Heartbeat(read(data)?)),
        EventType::RunSucceeded => AnyEvent::Run(RunEvent::Succeeded(read(data)?)),
        EventType::RunFailed => AnyEvent::Run(RunEvent::Failed(read(data)?)),
        EventType::RunCancelled => AnyEvent::Run(RunEvent::Cancelled(read(data)?)),
        EventType::RunEnded => AnyEvent::Run(RunEvent::Ended(read(data)?)),
        EventType::RunReconciled => AnyEvent::Run(RunEvent::Reconciled(read(data)?)),
        EventType::RunLateSignal => AnyEvent::Run(RunEvent::LateSignal(read(data)?)),
        EventType::RunFollowUpResolved => AnyEvent::Run(RunEvent::FollowUpResolved(read(data)?)),
        EventType::RunFollowUpReopened => AnyEvent::Run(RunEvent::FollowUpReopened(read(data)?)),
        EventType::SubjectObserved => AnyEvent::Subject(SubjectEvent::Observed(read(data)?)),
        EventType::WorkerSeen => AnyEvent::Worker(WorkerEvent::Seen(read(data)?)),
        EventType::WorkerStopped => AnyEvent::Worker(WorkerEvent::Stopped(read(data)?)),
        EventType::WorkspaceCreated => AnyEvent::Workspace(WorkspaceEvent::Created(read(data)?)),
        EventType::WorkspaceLedgerBlind => {
            AnyEvent::Workspace(WorkspaceEvent::LedgerBlind(read(data)?))
        }
        EventType::CatalogPublished => {
            AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(read(data)?))
        }
        EventType::TokenCreated => AnyEvent::Workspace(WorkspaceEvent::TokenCreated(read(data)?)),
        EventType::TokenRevoked => AnyEvent::Workspace(WorkspaceEvent::TokenRevoked(read(data)?)),
        EventType::MemberGranted => AnyEvent::Workspace(WorkspaceEvent::MemberGranted(read(data)?)),
        EventType::PersonChanged => AnyEvent::Workspace(WorkspaceEvent::PersonChanged(read(data)?)),
        EventType::AuditPackRead => AnyEvent::Workspace(WorkspaceEvent::AuditPackRead(read(data)?)),
        EventType::ViewRemoved => AnyEvent::Workspace(WorkspaceEvent::ViewRemoved(read(data)?)),
        EventType::KeyRotated => AnyEvent::Workspace(WorkspaceEvent::KeyRotated(read(data)?)),
        EventType::CheckpointAccepted => {
            AnyEvent::Workspace(WorkspaceEvent::CheckpointAccepted(read(data)?))
        }
        EventType::CheckpointTimestamped => {
            AnyEvent::Workspace(WorkspaceEvent::CheckpointTimestamped(read(data)?))
        }
        EventType::MemberRemoved => AnyEvent::Workspace(WorkspaceEvent::MemberRemoved(read(data)?)),
        EventType::ErasureRequested => AnyEvent::Erasure(ErasureEvent::Requested(read(data)?)),
        EventType::ErasureApproved => AnyEvent::Erasure(ErasureEvent::Approved(read(data)?)),
        EventType::ErasureExecuted => AnyEvent::Erasure(ErasureEvent::Executed(read(data)?)),
        EventType::ErasureCompleted => AnyEvent::Erasure(ErasureEvent::Completed(read(data)?)),
        EventType::ArchiveOrdered => AnyEvent::Archive(ArchiveEvent::Ordered(read(data)?)),
        EventType::ArchiveDropped => AnyEvent::Archive(ArchiveEvent::Dropped(read(data)?)),
        EventType::ArchiveRestored => AnyEvent::Archive(ArchiveEvent::Restored(read(data)?)),
    })
}

/// The SHA-256 of what a report says, for telling a repeated id from a reused one.
pub fn content_hash(content: &Value) -> Result<Hash, CanonicalError> {
    Ok(Sha256::digest(canonical::to_bytes(content)?).into())
}

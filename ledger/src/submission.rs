//! What a way in hands to the ledger, and what it gets back. One [`Submission`], one [`Answer`].

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::archive::Archived;
use crate::correlation::{Correlated, Correlation};
use crate::event::{Actor, AnyEvent, SealError, Stream};
use crate::fact::{EventType, Fact};
use crate::merkle::Hash;
use crate::run::{Related, RunCommand, RunRefusal};
use crate::subject::{Observe, SubjectKey};
use crate::time::Moment;
use crate::words::{Name, RunId};
use crate::worker::{WorkerKey, WorkerReport};
use crate::workspace::{WorkspaceCommand, WorkspaceRefusal};

/// What stands for the source, where ids are remembered, of a report that names none. No source may
/// call itself so: its ids would be those of everybody without a name.
pub const UNNAMED_SOURCE: &str = "unnamed";

/// One command on one aggregate, with all that its event will say beside what happened.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What is asked.
    pub command: Command,
    /// When its source says that it happened; left out, when it is recorded.
    pub occurred_at: Option<Moment>,
    /// Who makes it happen.
    pub actor: Option<Actor>,
    /// Who sends it, where it names somebody else: the log keeps both (specs/0018).
    pub sender: Option<Actor>,
    /// The source that reports it: the token's, or the event's own.
    pub source: Option<Name>,
    /// What it is known by when it comes again.
    pub id: Option<ReportId>,
    /// Whether the caller wants a refusal instead of leniency.
    pub strict: bool,
    /// Of a dispatch that asks first whether its work is there already (`unless_proven`): what was
    /// found. It counts only where the dispatch would make a run.
    pub found: Option<Found>,
    /// The environments that its author is held to (specs/0018); none is the whole workspace.
    pub within: Option<Arc<BTreeSet<Name>>>,
}

impl Submission {
    /// A command without an id, a source or an actor, happening now.
    pub fn new(command: Command) -> Self {
        Submission {
            command,
            occurred_at: None,
            actor: None,
            sender: None,
            source: None,
            id: None,
            strict: false,
            found: None,
            within: None,
        }
    }

    /// The same, as happened at `moment`.
    #[must_use]
    pub fn occurred_at(mut self, moment: Moment) -> Self {
        self.occurred_at = Some(moment);
        self
    }

    /// The same, of somebody who is held to these environments.
    #[must_use]
    pub fn within(mut self, environments: Option<Arc<BTreeSet<Name>>>) -> Self {
        self.within = environments;
        self
    }

    /// The same, by `actor`.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }
}

/// What was found before a dispatch: then no run is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An adapter proves that the work is there.
    Proven(Proven),
    /// This active run held the key of the dispatch after the adapter had been asked. Its work may
    /// have become true since, so that it counts even if the run has ended by now.
    Held(RunId),
}

/// An adapter's proof that some work is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The adapter that proves it.
    pub adapter: Name,
    /// A stable word for why.
    pub reason_code: Name,
    /// The thing that proves it.
    pub related: Option<Related>,
}

/// The id that a source gave its report, and what the report said.
#[derive(Clone, Debug)]
pub struct ReportId {
    /// The id, unique for its source.
    pub id: Name,
    /// Type, run, time and data *as given*, so that what the ledger adds makes no difference. An
    /// `operation` in its `data` is compared by its canonical name.
    pub content: Value,
}

/// A command on one aggregate.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the variants are the aggregates")]
pub enum Command {
    Run(RunId, RunCommand),
    Correlated(Box<Correlated>),
    Subject(SubjectKey, Observe),
    Worker(WorkerKey, WorkerReport),
    Workspace(WorkspaceCommand),
    Decided(Box<Decided>),
}

impl Command {
    /// The run that it is about, if it says so by the run's own id.
    pub fn run_id(&self) -> Option<RunId> {
        match self {
            Command::Run(id, _) => Some(*id),
            Command::Decided(decided) => decided.stream.run_id(),
            Command::Correlated(_)
            | Command::Subject(..)
            | Command::Worker(..)
            | Command::Workspace(_) => None,
        }
    }
}

/// What became of a submission. Every one but `Recorded` recorded nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is in the log, and durable.
    Recorded(Receipt),
    /// It had been recorded before.
    Duplicate {
        /// Where, if it was told by its id.
        position: Option<u64>,
        /// Of which run.
        run: Option<RunId>,
    },
    /// A heartbeat that says nothing new.
    Coalesced {
        /// Of which run.
        run: Option<RunId>,
    },
    /// A reconciliation that changes nothing.
    NoChange,
    /// A `unique` dispatch: this active run holds its key.
    Existing(RunId),
    /// An `unless_proven` dispatch: its work is there already.
    AlreadyProven(Proven),
    /// Its id was used before, for something else.
    Conflict {
        /// By the event at this position.
        position: u64,
    },
    /// It may not be recorded.
    Refused(Refusal),
}

/// Proof of what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The first position that it took; an inferred event may come before the reported one.
    pub first_position: u64,
    /// The position of the event that was reported.
    pub position: u64,
    /// The RFC 6962 leaf hash of that event.
    pub leaf_hash: Hash,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// The type of that event; a terminal signal may have become `run.late_signal`.
    pub event_type: EventType,
    /// The run that it is of, if it is of one.
    pub run: Option<RunId>,
}

/// Why a submission may not be recorded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The run's rules.
    #[error(transparent)]
    Run(#[from] RunRefusal),
    /// The workspace's rules.
    #[error(transparent)]
    Workspace(#[from] WorkspaceRefusal),
    /// It has no canonical bytes, or too many.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No run of its scope is known by the external id, and the command cannot open one.
    #[error(
        "no run is known here by {0}; a run.dispatched makes one, and a signal does if it names its \
         operation"
    )]
    UnknownExternalId(Correlation),
    /// Several runs of its scope are known by the external id, so it names none of them.
    #[error(
        "several runs are known by {0}, so it names none of them; name the run by its `run_id`"
    )]
    AmbiguousExternalId(Correlation),
    /// Its author may report in some environments, and it is of none of them.
    #[error(
        "the token is held to some environments, and this is of none of them; name one of them, or \
         use a token for the whole workspace"
    )]
    OutsideEnvironments,
    /// Its source has the name that stands for having none.
    #[error(
        "`{UNNAMED_SOURCE}` stands for reports without a source; name the source, or leave it out"
    )]
    ReservedSource,
    /// Another item of an all-or-nothing request was refused.
    #[error("another event of this all-or-nothing request was refused, so none was recorded")]
    NotAlone,
    /// Something of its run is in an archive that cannot be read, so nothing can be decided on it.
    #[error("nothing can be decided on this run now, and nothing was recorded: {0}")]
    Archived(Archived),
    /// The stream is not where the writer thought.
    #[error("the stream has {found} events, and the writer expected {expected}")]
    Sequence {
        /// What the writer expected.
        expected: u64,
        /// What is there.
        found: u64,
    },
}

impl Refusal {
    /// The stable code of the refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::Run(refusal) => refusal.code(),
            Refusal::Workspace(refusal) => refusal.code(),
            Refusal::Seal(SealError::TooLarge(_)) => "event_too_large",
            Refusal::Seal(SealError::Canonical(_)) => "not_canonical",
            Refusal::UnknownExternalId(_) => "unknown_run",
            Refusal::AmbiguousExternalId(_) => "ambiguous_external_id",
            Refusal::OutsideEnvironments => "outside_environments",
            Refusal::ReservedSource => "reserved_source",
            Refusal::NotAlone => "atomic_request_refused",
            Refusal::Archived(_) => "archived",
            Refusal::Sequence { .. } => "sequence_conflict",
        }
    }
}

/// Facts that another decider (a `cqrs_es` framework) has decided on. Only this crate makes one,
/// in [`crate::cqrs`]; it is written through the same seam as everything else.
#[derive(Clone, Debug)]
pub struct Decided {
    pub(crate) stream: Stream,
    pub(crate) expected_sequence: u64,
    pub(crate) facts: Vec<Fact<AnyEvent>>,
}

//! The steps of an erasure up to its being carried out, and the last one.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::{
    Approved, Completed, Erasure, ErasureEvent, ErasureState, MOST_NAMED, Named, PATIENCE,
    Requested, is_emptied,
};
use crate::clock::NoEntropy;
use crate::event::{Actor, AggregateType, AnyEvent, Recorded, Stream};
use crate::lane::{decode, fold_runs};
use crate::ledger::{Ledger, SubmitError};
use crate::process::{self, NotNoted};
use crate::run::RunEvent;
use crate::store::{Store, StoreError};
use crate::submission::Refusal;
use crate::words::{Note, RunId, Status, Subject, WorkspaceId};

/// Events that are read in one go.
pub(super) const PAGE: u32 = 1_000;

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// These events.
    Positions(BTreeSet<u64>),
    /// What is said of a run.
    Run(RunId),
    /// A subject: everything that is said of it and of its runs, and its own id.
    Subject(Subject),
}

/// Why an erasure does not go on. Nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// Nothing was named.
    #[error("nothing is named; name positions, a run or a subject")]
    Nothing,
    /// More than one request may name.
    #[error(
        "it names {0} runs and positions, and one erasure may name {MOST_NAMED}; ask for several, by \
         run or by positions"
    )]
    TooMany(usize),
    /// There is no such event.
    #[error("the log has no event at position {0}")]
    NoEvent(u64),
    /// There is no such run.
    #[error("no run {0} is known here")]
    NoRun(RunId),
    /// Nothing is said of such a subject.
    #[error("nothing is recorded of {0}")]
    NoSubject(Subject),
    /// It is never erased.
    #[error(
        "the event at position {0} is of the {1}, and is never erased: catalogs, who may do what and \
         erasures are what the log is read and checked by"
    )]
    Kept(u64, AggregateType),
    /// It is still active.
    #[error("the run {0} is still active; it can be erased once it has ended")]
    Active(RunId),
    /// There is no such erasure.
    #[error("no erasure {0} is known here")]
    Unknown(Uuid),
    /// The same person may not do both.
    #[error("whoever asked for an erasure may not approve it; somebody else who may erase has to")]
    SamePerson,
    /// Its time is over.
    #[error("its time is over; ask for it again")]
    Expired,
    /// Nobody has approved it.
    #[error("nobody has approved it yet")]
    NotApproved,
    /// It is not as far, or further.
    #[error("it is {0} already")]
    Already(ErasureState),
    /// Another one is not done yet.
    #[error(
        "the erasure {0} is being carried out and is not done; go on with that one first: \
         `runledger erase run {0}`"
    )]
    Another(Uuid),
    /// Some bodies are still there.
    #[error("not all of its bodies are erased yet")]
    NotEmptied,
    /// Somebody else did something about it at the same moment.
    #[error("somebody else went on with it at the same moment; look at it again")]
    Moved,
    /// Its body is in an archive, which an erasure does not reach.
    #[error(
        "the body of the event at position {0} is in the archive {1}, which an erasure does not reach; \
         put the bodies back (`runledger archive restore`), erase, and destroy that archive"
    )]
    Archived(u64, Uuid),
    /// The ledger refused it.
    #[error("the ledger refused it")]
    Refused(#[source] Box<Refusal>),
    /// There is no tombstone for an event.
    #[error("the event at position {0} cannot be erased")]
    NoTombstone(u64, #[source] super::RedactError),
    /// An event is not what was ordered to be erased.
    #[error(
        "the event at position {0} is neither what was ordered to be erased nor its tombstone; \
         `runledger verify database` says what is wrong"
    )]
    Other(u64),
    /// This user of the database may not erase.
    #[error(
        "the service's database role may not erase; run `runledger erase run ID --eraser-url URL` \
         with a role that is a member of runledger_eraser"
    )]
    NotHere,
    /// The ledger could not take it.
    #[error("it could not be recorded")]
    Submit(#[from] SubmitError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] Arc<StoreError>),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl From<NotNoted> for ErasureError {
    fn from(error: NotNoted) -> Self {
        match error {
            NotNoted::Moved => ErasureError::Moved,
            NotNoted::Refused(refusal) => ErasureError::Refused(refusal),
            NotNoted::Submit(error) => error.into(),
        }
    }
}

impl From<StoreError> for ErasureError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Archived(archived) => {
                ErasureError::Archived(archived.position, archived.archive)
            }
            error => ErasureError::Store(Arc::new(error)),
        }
    }
}

impl ErasureError {
    /// The stable code of a refusal; none of a failure.
    pub const fn code(&self) -> Option<&'static str> {
        Some(match self {
            ErasureError::Nothing => "nothing_named",
            ErasureError::TooMany(_) => "too_many",
            ErasureError::NoEvent(_) => "unknown_event",
            ErasureError::NoRun(_) => "unknown_run",
            ErasureError::NoSubject(_) => "unknown_subject",
            ErasureError::Kept(..) => "never_erased",
            ErasureError::Active(_) => "run_active",
            ErasureError::Unknown(_) => "unknown_erasure",
            ErasureError::SamePerson => "same_person",
            ErasureError::Expired => "erasure_expired",
            ErasureError::NotApproved => "not_approved",
            ErasureError::Already(_) => "erasure_state",
            ErasureError::Another(_) => "another_erasure",
            ErasureError::NotEmptied => "not_erased_yet",
            ErasureError::Moved => "erasure_moved",
            ErasureError::NotHere => "erased_elsewhere",
            ErasureError::Archived(..) => "archived",
            ErasureError::Other(_) | ErasureError::NoTombstone(..) => "not_as_ordered",
            ErasureError::Refused(_)
            | ErasureError::Submit(_)
            | ErasureError::Store(_)
            | ErasureError::Entropy(_) => return None,
        })
    }
}

/// Reads an erasure.
///
/// # Errors
/// [`ErasureError::Unknown`] if there is none.
pub async fn load(
    store: &Store,
    workspace: WorkspaceId,
    id: Uuid,
) -> Result<Erasure, ErasureError> {
    let events = stream(store, workspace, Stream::erasure(id)).await?;
    Erasure::fold(id, &events).ok_or(ErasureError::Unknown(id))
}

/// Asks for an erasure. What is to be forgotten is looked up and named by streams and positions.
///
/// # Errors
/// If there is nothing of it, or it may not be erased.
pub async fn request(
    ledger: &Ledger,
    workspace: WorkspaceId,
    what: &What,
    (reason, legal_basis): (Note, Note),
    actor: &Actor,
) -> Result<Erasure, ErasureError> {
    let store = ledger.store();
    let (streams, positions) = match what {
        What::Positions(positions) => (Vec::new(), positions.clone()),
        What::Run(run) => (vec![Stream::run(*run)], BTreeSet::new()),
        What::Subject(subject) => (of_subject(store, workspace, subject).await?, BTreeSet::new()),
    };
    let named = streams.len() + positions.len();
    if named == 0 {
        return Err(match what {
            What::Subject(subject) => ErasureError::NoSubject(subject.clone()),
            _ => ErasureError::Nothing,
        });
    }
    if named > MOST_NAMED {
        return Err(ErasureError::TooMany(named));
    }
    let mut events = positions.len() as u64;
    let lengths = store.last_sequences(workspace, &streams).await?;
    for (stream, length) in lengths {
        if let (Some(run), 0) = (stream.run_id(), length) {
            return Err(ErasureError::NoRun(run));
        }
        events += length;
    }
    let mut runs: Vec<Stream> = streams.clone();
    for position in &positions {
        let found = store.log(workspace, *position, position.saturating_add(1), 1).await?;
        let found = decode(found.first().ok_or(ErasureError::NoEvent(*position))?)?;
        let kind = found.stream.kind;
        if matches!(
            kind,
            AggregateType::Workspace | AggregateType::Erasure | AggregateType::Archive
        ) {
            return Err(ErasureError::Kept(*position, kind));
        }
        runs.push(found.stream);
    }
    have_ended(store, workspace, &runs).await?;
    let now = ledger.now();
    let requested = Requested {
        events,
        expires_at: now.plus(PATIENCE),
        legal_basis,
        positions: positions.into_iter().collect(),
        reason,
        streams: streams.into_iter().map(Named::from).collect(),
        subject: matches!(what, What::Subject(_)),
    };
    let id = ledger.process_id()?;
    note(ledger, workspace, (id, 0), ErasureEvent::Requested(requested), actor).await?;
    load(store, workspace, id).await
}

/// Approves an erasure.
///
/// # Errors
/// [`ErasureError::SamePerson`] if `actor` asked for it, and if it is not waiting for that.
pub async fn approve(
    ledger: &Ledger,
    workspace: WorkspaceId,
    id: Uuid,
    reason: Note,
    actor: &Actor,
) -> Result<Erasure, ErasureError> {
    let erasure = load(ledger.store(), workspace, id).await?;
    match erasure.state(ledger.now()) {
        ErasureState::Requested => {}
        ErasureState::Expired => return Err(ErasureError::Expired),
        state => return Err(ErasureError::Already(state)),
    }
    if erasure.requested_by.as_ref().is_none_or(|asked| asked.id == actor.id) {
        return Err(ErasureError::SamePerson);
    }
    let approved = ErasureEvent::Approved(Approved { note: None, reason: Some(reason) });
    note(ledger, workspace, (id, erasure.events), approved, actor).await?;
    load(ledger.store(), workspace, id).await
}

/// Says that an erasure is done: every body is a tombstone, and what was derived was derived again.
///
/// # Errors
/// [`ErasureError::NotEmptied`] if a body is still there.
pub async fn complete(
    ledger: &Ledger,
    workspace: WorkspaceId,
    id: Uuid,
    actor: &Actor,
) -> Result<Erasure, ErasureError> {
    let erasure = load(ledger.store(), workspace, id).await?;
    if erasure.completed_at.is_some() {
        return Ok(erasure);
    }
    if !erasure.is_ordered() || !is_emptied(ledger.store(), workspace, &erasure).await? {
        return Err(ErasureError::NotEmptied);
    }
    let completed = ErasureEvent::Completed(Completed { bodies: erasure.bodies() });
    note(ledger, workspace, (id, erasure.events), completed, actor).await?;
    load(ledger.store(), workspace, id).await
}

/// Records the next event of an erasure, which has `events` of them.
pub(super) async fn note(
    ledger: &Ledger,
    workspace: WorkspaceId,
    (id, events): (Uuid, u64),
    event: ErasureEvent,
    actor: &Actor,
) -> Result<(), ErasureError> {
    let next = (Stream::erasure(id), events);
    Ok(process::note(ledger, workspace, next, event, actor).await?)
}

/// A whole stream.
async fn stream(
    store: &Store,
    workspace: WorkspaceId,
    stream: Stream,
) -> Result<Vec<Recorded>, ErasureError> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let after = events.last().map_or(0, |last| last.sequence);
        let page = store.stream(workspace, stream, after, PAGE).await?;
        let whole = page.len() < PAGE as usize;
        for stored in &page {
            events.push(decode(stored)?);
        }
        if whole {
            return Ok(events);
        }
    }
}

/// An active run holds keys by what it was asked for, and more may come of it.
async fn have_ended(
    store: &Store,
    workspace: WorkspaceId,
    streams: &[Stream],
) -> Result<(), ErasureError> {
    let runs: BTreeSet<Stream> =
        streams.iter().copied().filter(|stream| stream.kind == AggregateType::Run).collect();
    for run in runs {
        let events = store.load_streams(workspace, &[run]).await?;
        for (id, run) in fold_runs(&events)? {
            if run.status != Status::Completed {
                return Err(ErasureError::Active(id));
            }
        }
    }
    Ok(())
}

/// The streams of a subject in whatever environment, and of its runs. The log is read through: a
/// subject may have been named by any signal.
async fn of_subject(
    store: &Store,
    workspace: WorkspaceId,
    subject: &Subject,
) -> Result<Vec<Stream>, ErasureError> {
    let mut written = Vec::new();
    crate::canonical::write_text(&mut written, subject.id.as_str());
    let mut streams = BTreeSet::new();
    let mut from = 0;
    loop {
        let page = store.log(workspace, from, u64::MAX >> 1, PAGE).await?;
        let Some(last) = page.last() else { break };
        from = last.position + 1;
        for stored in &page {
            if !stored.body.windows(written.len()).any(|part| part == written) {
                continue;
            }
            let recorded = decode(stored)?;
            if names(&recorded.fact.event, subject) {
                streams.insert(recorded.stream);
            }
        }
    }
    Ok(streams.into_iter().collect())
}

fn names(event: &AnyEvent, subject: &Subject) -> bool {
    let named = match event {
        AnyEvent::Subject(crate::subject::SubjectEvent::Observed(seen)) => Some(&seen.key.subject),
        AnyEvent::Run(event) => match event {
            RunEvent::Dispatched(event) => event.subject.as_ref(),
            RunEvent::Started(event) => event.fills.subject.as_ref(),
            RunEvent::Heartbeat(event) => event.fills.subject.as_ref(),
            RunEvent::Succeeded(event) => event.fills.subject.as_ref(),
            RunEvent::Failed(event) => event.fills.subject.as_ref(),
            RunEvent::Cancelled(event) => event.fills.subject.as_ref(),
            RunEvent::Ended(event) => event.fills.subject.as_ref(),
            RunEvent::LateSignal(event) => event.fills.subject.as_ref(),
            RunEvent::Reconciled(_)
            | RunEvent::FollowUpResolved(_)
            | RunEvent::FollowUpReopened(_) => None,
        },
        _ => None,
    };
    named == Some(subject)
}

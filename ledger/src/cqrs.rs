//! The traits of `cqrs-es` over the ledger, so that its framework and its test framework work with
//! runs.
//!
//! `handle` is a thin shim over [`Run::decide`], and a commit goes through [`Ledger::submit`] like
//! everything else: it takes positions, is hashed and stamped by the lane, and is refused if the
//! stream has moved. What the framework keeps beside its store (queries, views, snapshots) is not
//! used here, because it can lose events between commit and dispatch; read models follow the log.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{
    Aggregate, AggregateContext, AggregateError, DomainEvent, EventEnvelope, EventStore,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::event::{Actor, AnyEvent, Stream};
use crate::fact::{EventKind, Fact};
use crate::lane::decode;
use crate::ledger::{Ledger, SubmitError};
use crate::run::{Decision, Run, RunCommand, RunContext, RunEvent, RunRefusal};
use crate::store::{StoreError, StoredEvent};
use crate::submission::{Answer, Command, Decided, Refusal, Submission};
use crate::time::Moment;
use crate::words::{Name, RunId, WorkspaceId};

/// Events that are read of a stream at a time.
const PAGE: u32 = 1_000;

impl<E> DomainEvent for Fact<E>
where
    E: EventKind + Serialize + DeserializeOwned + Clone + PartialEq + fmt::Debug + Send + Sync,
{
    fn event_type(&self) -> String {
        self.event.event_type().to_string()
    }

    /// The `schema` of the event's stored body.
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// A command on a run, with what an aggregate does not know of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRequest {
    /// What is asked.
    pub command: RunCommand,
    /// When its source says that it happened; left out, now.
    pub occurred_at: Option<Moment>,
    /// The run itself: the aggregate id that the framework is given.
    pub run_id: RunId,
    /// Whether the caller wants a refusal instead of leniency.
    pub strict: bool,
}

impl RunRequest {
    /// A command that happens now.
    pub const fn new(run_id: RunId, command: RunCommand) -> Self {
        RunRequest { command, occurred_at: None, run_id, strict: false }
    }
}

/// What a run needs to decide.
#[derive(Clone, Debug)]
pub struct RunServices {
    /// The catalog in force.
    pub catalog: Arc<Catalog>,
    /// The ledger's clock. What is recorded is stamped again by the lane.
    pub clock: Clock,
}

impl RunServices {
    /// The clock of `ledger` and the catalog that is in force in `workspace` now.
    pub async fn of(ledger: &Ledger, workspace: WorkspaceId) -> Result<Self, StoreError> {
        Ok(RunServices { catalog: ledger.catalog(workspace).await?, clock: ledger.clock().clone() })
    }
}

/// Why a command on a run recorded nothing. (What is recorded already is no error, and no event.)
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// It may not be recorded.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A `unique` dispatch: another active run holds its key.
    #[error("the active run {0} holds the key of this dispatch")]
    Existing(RunId),
}

impl From<RunRefusal> for RunError {
    fn from(refusal: RunRefusal) -> Self {
        RunError::Refused(refusal.into())
    }
}

impl Aggregate for Run {
    const TYPE: &'static str = "run";
    type Command = RunRequest;
    type Event = Fact<RunEvent>;
    type Error = RunError;
    type Services = RunServices;

    async fn handle(
        &mut self,
        request: RunRequest,
        services: &RunServices,
        sink: &EventSink<Self>,
    ) -> Result<(), RunError> {
        let recorded_at = services.clock.now();
        let context = RunContext {
            catalog: &services.catalog,
            // Whether another run holds the key is known where it is recorded.
            holder: None,
            occurred_at: request.occurred_at.unwrap_or(recorded_at),
            recorded_at,
            run_id: request.run_id,
            strict: request.strict,
        };
        match self.decide(&request.command, &context)? {
            Decision::Record(facts) => {
                for fact in facts {
                    sink.write(fact, self).await;
                }
                Ok(())
            }
            Decision::Duplicate | Decision::Coalesced | Decision::NoChange => Ok(()),
            Decision::Existing(holder) => Err(RunError::Existing(holder)),
        }
    }

    fn apply(&mut self, fact: Fact<RunEvent>) {
        Run::apply(self, &fact);
    }
}

/// The runs of one workspace, as the framework's event store.
#[derive(Clone, Debug)]
pub struct RunStore {
    ledger: Ledger,
    workspace: WorkspaceId,
}

/// A run as it was loaded.
#[derive(Clone, Debug)]
pub struct LoadedRun {
    id: RunId,
    run: Run,
    /// How many events it had; the run itself takes in what is decided on it.
    sequence: u64,
}

impl AggregateContext<Run> for LoadedRun {
    fn aggregate(&mut self) -> &mut Run {
        &mut self.run
    }
}

impl RunStore {
    /// The runs of `workspace`.
    pub const fn new(ledger: Ledger, workspace: WorkspaceId) -> Self {
        RunStore { ledger, workspace }
    }

    /// The events of a run after `sequence`, in their order.
    async fn read(
        &self,
        run: RunId,
        mut sequence: u64,
    ) -> Result<Vec<EventEnvelope<Run>>, AggregateError<RunError>> {
        let mut envelopes = Vec::new();
        loop {
            let stream = Stream::run(run);
            let page = self.ledger.store().stream(self.workspace, stream, sequence, PAGE).await;
            let page = page.map_err(of_store)?;
            for event in &page {
                envelopes.push(envelope(event)?);
            }
            sequence += page.len() as u64;
            if page.len() < PAGE as usize {
                return Ok(envelopes);
            }
        }
    }
}

impl EventStore<Run> for RunStore {
    type AC = LoadedRun;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<Run>>, AggregateError<RunError>> {
        self.read(run_id(aggregate_id)?, 0).await
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<LoadedRun, AggregateError<RunError>> {
        let id = run_id(aggregate_id)?;
        let envelopes = self.read(id, 0).await?;
        let mut run = Run::default();
        for envelope in &envelopes {
            run.apply(&envelope.payload);
        }
        Ok(LoadedRun { id, run, sequence: envelopes.len() as u64 })
    }

    /// Records `events` if the stream is still where it was loaded, and returns them as recorded.
    ///
    /// `metadata` may hold `source`, and `actor_id` together with `actor_kind`. An event has no
    /// place for anything else, so anything else is an error and not lost.
    async fn commit(
        &self,
        events: Vec<Fact<RunEvent>>,
        context: LoadedRun,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Run>>, AggregateError<RunError>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        if events.iter().any(|fact| names_another_run(fact, context.id)) {
            return Err(unexpected("the command was given for another run than the aggregate id"));
        }
        let count = events.len();
        let decided = Decided {
            stream: Stream::run(context.id),
            expected_sequence: context.sequence,
            facts: events.into_iter().map(Fact::any).collect(),
        };
        let mut submission = Submission::new(Command::Decided(Box::new(decided)));
        describe(&mut submission, metadata)?;
        let answers = self.ledger.submit(self.workspace, vec![submission], false).await;
        match answers.map_err(of_submit)?.pop() {
            Some(Answer::Recorded(_)) => {
                let mut recorded = self.read(context.id, context.sequence).await?;
                // Somebody else may have gone on already.
                recorded.truncate(count);
                Ok(recorded)
            }
            Some(Answer::Refused(Refusal::Sequence { .. })) => {
                Err(AggregateError::AggregateConflict)
            }
            Some(Answer::Refused(refusal)) => Err(AggregateError::UserError(refusal.into())),
            Some(Answer::Existing(run)) => Err(AggregateError::UserError(RunError::Existing(run))),
            answer => Err(unexpected(format!("the ledger answered a commit with {answer:?}"))),
        }
    }
}

fn run_id(aggregate_id: &str) -> Result<RunId, AggregateError<RunError>> {
    aggregate_id.parse().map_err(|error| AggregateError::UnexpectedError(Box::new(error)))
}

fn names_another_run(fact: &Fact<RunEvent>, id: RunId) -> bool {
    matches!(&fact.event, RunEvent::Dispatched(event) if event.dispatch.run_id != id)
}

fn describe(
    submission: &mut Submission,
    mut metadata: HashMap<String, String>,
) -> Result<(), AggregateError<RunError>> {
    let mut take = |key: &str| -> Result<Option<Name>, AggregateError<RunError>> {
        let Some(text) = metadata.remove(key) else { return Ok(None) };
        Name::new(text).map(Some).map_err(|error| unexpected(format!("metadata {key} {error}")))
    };
    submission.source = take("source")?;
    submission.actor = match (take("actor_id")?, take("actor_kind")?) {
        (Some(id), Some(kind)) => Some(Actor { id, kind }),
        (None, None) => None,
        _ => return Err(unexpected("metadata actor_id and actor_kind go together")),
    };
    match metadata.into_keys().next() {
        None => Ok(()),
        Some(key) => Err(unexpected(format!("an event has no place for the metadata {key:?}"))),
    }
}

/// An event with the metadata that the view `cqrs_events` gives it.
fn envelope(stored: &StoredEvent) -> Result<EventEnvelope<Run>, AggregateError<RunError>> {
    let recorded = decode(stored).map_err(of_store)?;
    let Fact { occurred_at, recorded_at, event } = recorded.fact;
    let AnyEvent::Run(event) = event else {
        return Err(unexpected("the stream of a run holds an event of something else"));
    };
    let metadata = HashMap::from([
        ("position".to_owned(), stored.position.to_string()),
        ("recorded_at".to_owned(), stored.recorded_at.to_string()),
        ("leaf_hash".to_owned(), hex::encode(&stored.leaf_hash)),
        ("source".to_owned(), recorded.source.map(|name| name.to_string()).unwrap_or_default()),
    ]);
    Ok(EventEnvelope {
        aggregate_id: recorded.stream.id.to_string(),
        sequence: usize::try_from(recorded.sequence).unwrap_or(usize::MAX),
        payload: Fact { occurred_at, recorded_at, event },
        metadata,
    })
}

fn unexpected(text: impl Into<String>) -> AggregateError<RunError> {
    AggregateError::UnexpectedError(text.into().into())
}

fn of_store(error: StoreError) -> AggregateError<RunError> {
    match error {
        StoreError::Conflict(_) => AggregateError::AggregateConflict,
        StoreError::Unavailable(_) => AggregateError::DatabaseConnectionError(Box::new(error)),
        StoreError::Corrupt(_) => AggregateError::DeserializationError(Box::new(error)),
        StoreError::Unsafe(_) | StoreError::Migration(_) | StoreError::Archived(_) => {
            AggregateError::UnexpectedError(Box::new(error))
        }
    }
}

fn of_submit(error: SubmitError) -> AggregateError<RunError> {
    match error {
        SubmitError::Store(_) | SubmitError::Overloaded | SubmitError::Closing => {
            AggregateError::DatabaseConnectionError(Box::new(error))
        }
        SubmitError::NoWorkspace
        | SubmitError::Halted(_)
        | SubmitError::TooMany
        | SubmitError::Entropy(_) => AggregateError::UnexpectedError(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;

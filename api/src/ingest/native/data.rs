//! What may stand in the `data` of each native event, and how it becomes a command.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use runledger_ledger::run::{
    Dispatch, ExternalId, Fields, Named, Origin, Progress, Related, Report, RunCommand,
    SignalReport,
};
use runledger_ledger::subject::{Observe, SubjectKey, SubjectState};
use runledger_ledger::submission::Command;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Note, Outcome, Subject, UniqueMode};
use runledger_ledger::worker::{LONGEST_LEASE, QUEUES_PER_WORKER, WorkerKey, WorkerReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::evidence;
use super::read;
use super::schema;
use crate::ingest::{ItemError, UNSPECIFIED, word};

/// Most labels of a run.
pub const LABELS: usize = 32;
/// Most external ids of a run.
pub const EXTERNAL_IDS: usize = 16;
/// Most entries of a summary or of the evidence of an observation.
pub const FIELDS: usize = 32;
/// Most artifacts of a success.
pub const ARTIFACTS: usize = 32;

/// Declares the data of a run's event: what each of them may name of its run, and its own fields.
macro_rules! run_data {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// Which try of the same work this is, from 1.
            #[schema(value_type = Option<u32>, minimum = 1)]
            pub attempt: Option<NonZeroU32>,
            /// The connection of the queue; without a queue it has no effect.
            #[schema(value_type = Option<String>)]
            pub connection: Option<Name>,
            /// The environment; left out, the run belongs to the workspace.
            #[schema(value_type = Option<String>)]
            pub environment: Option<Name>,
            /// What other systems call this run; at most 16.
            #[serde(deserialize_with = "read::list")]
            #[schema(schema_with = schema::external_ids)]
            pub external_ids: Vec<ExternalId>,
            /// A hash of what the run was asked to produce.
            #[schema(value_type = Option<String>)]
            pub fingerprint: Option<Name>,
            /// The class or function that does the work.
            #[schema(value_type = Option<String>)]
            pub job_class: Option<Name>,
            /// Free labels; at most 32.
            #[serde(deserialize_with = "read::map")]
            #[schema(value_type = BTreeMap<String, String>)]
            pub labels: BTreeMap<Name, Note>,
            /// The run that this one is a part of.
            #[schema(value_type = Option<uuid::Uuid>)]
            pub parent_run_id: Option<runledger_ledger::words::RunId>,
            /// The queue that it waits in.
            #[schema(value_type = Option<String>)]
            pub queue: Option<Name>,
            /// What the run acts on.
            #[serde(deserialize_with = "read::optional")]
            #[schema(schema_with = schema::thing)]
            pub subject: Option<Subject>,
        }

        impl $name {
            /// Takes out what it names of the run, and where the run comes from.
            fn take_names(&mut self) -> Result<(Named, Origin), ItemError> {
                at_most(LABELS, self.labels.len(), "labels")?;
                at_most(EXTERNAL_IDS, self.external_ids.len(), "external_ids")?;
                let named = Named {
                    connection: self.connection.take(),
                    environment: self.environment.take(),
                    external_ids: std::mem::take(&mut self.external_ids),
                    fingerprint: self.fingerprint.take(),
                    job_class: self.job_class.take(),
                    operation: None,
                    queue: self.queue.take(),
                    subject: self.subject.take(),
                };
                let origin = Origin {
                    attempt: self.attempt.map(NonZeroU32::get),
                    labels: std::mem::take(&mut self.labels),
                    parent_run_id: self.parent_run_id,
                    ..Origin::default()
                };
                Ok((named, origin))
            }
        }
    };
}

/// Declares the data of a signal, whose operation matters only where it opens its run.
macro_rules! signal_data {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
        => |$data:ident| $report:expr
    ) => {
        run_data! {
            $(#[$doc])*
            $name {
                /// The operation type; with it, the signal opens a run that is not known yet.
                #[schema(value_type = Option<String>)]
                operation: Option<Name>,
                $($(#[$field_doc])* $field: $type,)*
            }
        }

        impl $name {
            /// The command that it stands for.
            pub(super) fn command(mut self) -> Result<RunCommand, ItemError> {
                let (mut named, origin) = self.take_names()?;
                named.operation = self.operation.take();
                let $data = self;
                let report: Result<Report, ItemError> = $report;
                Ok(RunCommand::Signal(Box::new(SignalReport { named, origin, report: report? })))
            }
        }
    };
}

run_data! {
    /// Data of `run.dispatched`: the run was asked for.
    DispatchedData {
        /// The operation type; an alias is resolved. Required.
        #[schema(value_type = String, required = true)]
        operation: Option<Name>,
        /// Version of the correlation that the dispatcher puts into its job; 1 if left out.
        correlation_version: Option<u32>,
        /// Who or what asked for it.
        #[schema(value_type = Option<String>)]
        initiator: Option<Name>,
        /// The run that this one tries again.
        #[schema(value_type = Option<uuid::Uuid>)]
        retry_of: Option<runledger_ledger::words::RunId>,
        /// Land on the active run of the same key, if there is one.
        #[schema(schema_with = schema::unique)]
        unique: Option<UniqueMode>,
        /// Ask the operation's adapter first whether the work is there already, in this scope. If
        /// it proves so, no run is made, and the answer is `already_proven`. Without `unique`, it
        /// asks for one active run a `fingerprint`, or without one a `subject`.
        unless_proven: Option<bool>,
    }
}

impl DispatchedData {
    pub(super) fn command(mut self) -> Result<RunCommand, ItemError> {
        let Some(operation) = self.operation.take() else {
            let problem = "is missing; name the operation type, such as `inventory.sync`";
            return Err(ItemError::at("invalid_event", "/data/operation", problem));
        };
        let (named, origin) = self.take_names()?;
        let asks_first = self.unless_proven.unwrap_or_default();
        let unique = self.unique.or_else(|| one_at_a_time(&named).filter(|_| asks_first));
        let origin = Origin { initiator: self.initiator, retry_of: self.retry_of, ..origin };
        let correlation_version = self.correlation_version.unwrap_or(1);
        Ok(RunCommand::Dispatch(Box::new(Dispatch {
            correlation_version,
            operation,
            named,
            origin,
            unique,
        })))
    }
}

/// What keeps two dispatches at the same moment from doing the same work: both may have asked
/// before either of them did it.
fn one_at_a_time(named: &Named) -> Option<UniqueMode> {
    match (&named.fingerprint, &named.subject) {
        (Some(_), _) => Some(UniqueMode::Fingerprint),
        (None, Some(_)) => Some(UniqueMode::Subject),
        (None, None) => None,
    }
}

signal_data! {
    /// Data of `run.started`: the run began.
    StartedData {
        /// The worker that took it.
        #[schema(value_type = Option<String>)]
        worker: Option<Name>,
    } => |data| Ok(Report::Started {
        attempt: data.attempt.map(NonZeroU32::get),
        worker: data.worker,
    })
}

signal_data! {
    /// Data of `run.heartbeat`: the run is alive.
    HeartbeatData {
        /// How far it is; left out, that stays as it was.
        #[serde(deserialize_with = "read::optional")]
        #[schema(schema_with = schema::progress)]
        progress: Option<Progress>,
    } => |data| Ok(Report::Heartbeat { progress: data.progress })
}

signal_data! {
    /// Data of `run.succeeded`: the run did what it was asked.
    SucceededData {
        /// What it made; at most 32.
        #[serde(deserialize_with = "read::list")]
        #[schema(schema_with = schema::things)]
        artifacts: Vec<Related>,
        /// Counts and states that it wants to keep; flat, at most 32.
        #[serde(deserialize_with = "read::fields")]
        #[schema(schema_with = schema::fields)]
        summary: Fields,
    } => |data| {
        at_most(ARTIFACTS, data.artifacts.len(), "artifacts")?;
        at_most(FIELDS, data.summary.len(), "summary")?;
        Ok(Report::Succeeded { artifacts: data.artifacts, summary: data.summary })
    }
}

/// How a run failed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailedOutcome {
    /// It did not do what it was asked.
    #[default]
    Failed,
    /// A part of it is done.
    PartiallySucceeded,
    /// Something that it needs was missing.
    Blocked,
}

signal_data! {
    /// Data of `run.failed`: the run ended with a problem.
    FailedData {
        /// How it failed.
        outcome: FailedOutcome,
        /// A stable word for programs; `unspecified` if left out.
        #[schema(value_type = Option<String>)]
        reason_code: Option<Name>,
        /// A sentence for people.
        #[schema(value_type = Option<String>)]
        message: Option<Note>,
        /// Whether trying again may help.
        retryable: Option<bool>,
    } => |data| Ok(Report::Failed {
        message: data.message,
        outcome: match data.outcome {
            FailedOutcome::Failed => Outcome::Failed,
            FailedOutcome::PartiallySucceeded => Outcome::PartiallySucceeded,
            FailedOutcome::Blocked => Outcome::Blocked,
        },
        reason_code: match data.reason_code {
            Some(reason) => reason,
            None => word(UNSPECIFIED)?,
        },
        retryable: data.retryable,
    })
}

signal_data! {
    /// Data of `run.cancelled`: the run was stopped.
    CancelledData {
        /// Who stopped it.
        #[schema(value_type = Option<String>)]
        by: Option<Name>,
        /// Why.
        #[schema(value_type = Option<String>)]
        reason: Option<Note>,
    } => |data| Ok(Report::Cancelled { by: data.by, reason: data.reason })
}

signal_data! {
    /// Data of `run.ended`: the run ended, and the source does not say how.
    EndedData {
        /// What the source says of it.
        #[schema(value_type = Option<String>)]
        reason: Option<Note>,
    } => |data| Ok(Report::Ended { reason: data.reason })
}

/// Data of `run.follow_up_resolved` and `run.follow_up_reopened`: a person's word.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowUpData {
    /// Who says it; the actor if left out.
    #[schema(value_type = Option<String>)]
    pub by: Option<Name>,
    /// More, for people.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note>,
    /// Why, in a word.
    #[schema(value_type = String)]
    pub reason: Name,
}

/// Data of `subject.observed`: somebody looked at a subject.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservedData {
    /// The environment that it was seen in; left out, the workspace itself.
    #[schema(value_type = Option<String>)]
    pub environment: Option<Name>,
    /// What the verdict rests on: identifiers, states, counts, times; flat, at most 32. A value
    /// that looks like a secret, a URL or a payload is refused.
    #[serde(default, deserialize_with = "read::fields")]
    #[schema(schema_with = schema::fields)]
    pub evidence: Fields,
    /// What was seen.
    #[schema(schema_with = schema::subject_state)]
    pub state: SubjectState,
    /// The subject.
    #[serde(deserialize_with = "read::required")]
    #[schema(schema_with = schema::thing)]
    pub subject: Subject,
    /// When it was seen, in RFC 3339; left out, when it happened.
    #[serde(default, deserialize_with = "read::time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub verified_at: Option<Moment>,
    /// Who or what looked.
    #[schema(value_type = Option<String>)]
    pub verifier: Option<Name>,
}

impl ObservedData {
    pub(super) fn command(self) -> Result<Command, ItemError> {
        at_most(FIELDS, self.evidence.len(), "evidence")?;
        evidence::check(&self.evidence)?;
        let key = SubjectKey { environment: self.environment, subject: self.subject };
        let observe = Observe {
            evidence: self.evidence,
            state: self.state,
            verified_at: self.verified_at,
            verifier: self.verifier,
        };
        Ok(Command::Subject(key, observe))
    }
}

/// Data of `worker.seen`: a worker is there, for as long as its lease.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerSeenData {
    /// The connection whose queues it takes from.
    #[schema(value_type = Option<String>)]
    pub connection: Option<Name>,
    /// How long it may be silent, in seconds.
    #[schema(minimum = 1, maximum = 86400)]
    pub lease_seconds: u32,
    /// The queues that it takes from; at most 256.
    #[schema(value_type = Vec<String>, max_items = 256)]
    pub queues: Vec<Name>,
    /// Its name on its connection.
    #[schema(value_type = String)]
    pub worker: Name,
}

impl WorkerSeenData {
    pub(super) fn command(self) -> Result<Command, ItemError> {
        at_most(QUEUES_PER_WORKER, self.queues.len(), "queues")?;
        let longest = LONGEST_LEASE.micros() / 1_000_000;
        if self.lease_seconds == 0 || i64::from(self.lease_seconds) > longest {
            let problem = format!("{} is not between 1 and {longest}", self.lease_seconds);
            return Err(ItemError::at("out_of_range", "/data/lease_seconds", problem));
        }
        let key = WorkerKey { connection: self.connection, worker: self.worker };
        let queues: BTreeSet<Name> = self.queues.into_iter().collect();
        let lease_seconds = self.lease_seconds;
        Ok(Command::Worker(key, WorkerReport::Seen { lease_seconds, queues }))
    }
}

/// Data of `worker.stopped`: a worker goes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerStoppedData {
    /// The connection whose queues it took from.
    #[schema(value_type = Option<String>)]
    pub connection: Option<Name>,
    /// Its name on its connection.
    #[schema(value_type = String)]
    pub worker: Name,
}

impl WorkerStoppedData {
    pub(super) fn command(self) -> Command {
        let key = WorkerKey { connection: self.connection, worker: self.worker };
        Command::Worker(key, WorkerReport::Stopped)
    }
}

fn at_most(most: usize, count: usize, field: &str) -> Result<(), ItemError> {
    if count <= most {
        return Ok(());
    }
    let problem = format!("has {count} entries; at most {most} may come");
    Err(ItemError::at("too_many", format!("/data/{field}"), problem))
}

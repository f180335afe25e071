//! What may be added to a run's stream (DESIGN section 3). Pure: values in, a decision out.

use serde_json::Value;

use super::{
    Cancelled, Dispatch, DispatchRecord, Dispatched, Ended, Failed, FollowUpAction,
    FollowUpCommand, FollowUpRecord, Heartbeat, LateSignal, Named, Origin, Progress, Report, Run,
    RunCommand, RunEvent, SignalReport, Started, Succeeded,
};
use crate::catalog::{Catalog, Lifecycle, OperationScope};
use crate::fact::Fact;
use crate::time::Moment;
use crate::words::{Name, Outcome, RunId, Signal, Status};

/// What a decision needs beside the run itself.
#[derive(Clone, Copy, Debug)]
pub struct RunContext<'a> {
    /// The catalog in force.
    pub catalog: &'a Catalog,
    /// The active run that holds the key of a `unique` dispatch, if there is one.
    pub holder: Option<RunId>,
    /// The source's claim.
    pub occurred_at: Moment,
    /// The ledger's clock for this command.
    pub recorded_at: Moment,
    /// The run at hand.
    pub run_id: RunId,
    /// Whether the caller wants a refusal instead of leniency (`strict=true`).
    pub strict: bool,
}

/// The answer to a command that is not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// These facts are to be recorded; the last of them is the one that was reported.
    Record(Vec<Fact<RunEvent>>),
    /// It is recorded already.
    Duplicate,
    /// A heartbeat that says nothing new.
    Coalesced,
    /// A reconciliation that changes nothing.
    NoChange,
    /// A `unique` dispatch lands on the active run that holds its key.
    Existing(RunId),
}

/// What `strict` answers to a signal of a run that is not there.
pub(crate) const NOT_DISPATCHED: &str = "the run has not been dispatched";

/// Why a command on a run is refused. Nothing is recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunRefusal {
    /// Nobody has heard of the run, and the command cannot open it.
    #[error("no run {0} is known here; a signal may open it if it names its operation")]
    UnknownRun(RunId),
    /// The command names something else than the run is.
    #[error("the run's {field} is {is}, and the report names {named}; nothing was recorded")]
    IdentityMismatch {
        /// Which part of the identity differs.
        field: &'static str,
        /// What the run has.
        is: String,
        /// What the report names.
        named: String,
    },
    /// The operation belongs to the workspace.
    #[error("runs of {operation} belong to the workspace; leave the environment out")]
    EnvironmentNotAllowed {
        /// Its canonical name.
        operation: String,
    },
    /// A follow-up on a run that is still active.
    #[error("the run has not ended, so there is no follow-up to resolve or to reopen yet")]
    NotTerminal,
    /// A reopening of what is not resolved.
    #[error("the follow-up is not resolved, so it cannot be reopened")]
    NotResolved,
    /// A resolution of what is resolved, where that is not wanted.
    #[error("{by} has resolved it already, at {at} ({reason}); reopen it to say something else")]
    AlreadyResolved {
        /// Who did.
        by: Name,
        /// Why.
        reason: Name,
        /// When it was recorded.
        at: Moment,
    },
    /// A decision on a run that has moved since it was judged.
    #[error("the run has {found} events by now, and was judged when it had {expected}")]
    Moved {
        /// When it was judged.
        expected: u32,
        /// Now.
        found: u32,
    },
    /// Strict mode: the run is not in a state that expects this.
    #[error("strict: {0}")]
    StateConflict(&'static str),
}

impl RunRefusal {
    /// The stable code of the refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            RunRefusal::UnknownRun(_) => "unknown_run",
            RunRefusal::IdentityMismatch { .. } => "identity_mismatch",
            RunRefusal::EnvironmentNotAllowed { .. } => "environment_not_allowed",
            RunRefusal::NotTerminal => "not_terminal",
            RunRefusal::NotResolved => "not_resolved",
            RunRefusal::AlreadyResolved { .. } => "already_resolved",
            RunRefusal::Moved { .. } => "run_moved",
            RunRefusal::StateConflict(_) => "state_conflict",
        }
    }
}

impl Run {
    /// Decides on a command. The run's state is that of its whole stream.
    pub fn decide(
        &self,
        command: &RunCommand,
        context: &RunContext<'_>,
    ) -> Result<Decision, RunRefusal> {
        match command {
            RunCommand::Dispatch(dispatch) => self.decide_dispatch(dispatch, context),
            RunCommand::Signal(signal) => self.decide_signal(signal, context),
            RunCommand::FollowUp(word) => self.decide_follow_up(word, context),
            RunCommand::Reconcile(reconcile) => self.decide_reconcile(reconcile, context),
        }
    }

    fn decide_dispatch(
        &self,
        dispatch: &Dispatch,
        context: &RunContext<'_>,
    ) -> Result<Decision, RunRefusal> {
        let (operation, origin) = (&dispatch.operation, &dispatch.origin);
        let named = Named { operation: Some(operation.clone()), ..dispatch.named.clone() };
        let event = |unique| {
            let mut event = dispatched(operation, &named, origin, context);
            event.dispatch.correlation_version = dispatch.correlation_version;
            event.unique = unique;
            context.fact(RunEvent::Dispatched(Box::new(event)))
        };
        if self.exists() {
            self.fills(&named, context)?;
            if !self.inferred {
                return Ok(Decision::Duplicate);
            }
            if context.strict && self.status == Status::Completed {
                return Err(RunRefusal::StateConflict("the run has completed"));
            }
            // The true dispatch of an inferred run makes no reservation.
            return Ok(Decision::Record(vec![event(None)]));
        }
        check_environment(&named, context)?;
        if let Some(holder) = context.holder.filter(|_| dispatch.unique.is_some()) {
            return Ok(Decision::Existing(holder));
        }
        Ok(Decision::Record(vec![event(dispatch.unique)]))
    }

    fn decide_signal(
        &self,
        signal: &SignalReport,
        context: &RunContext<'_>,
    ) -> Result<Decision, RunRefusal> {
        if !self.exists() {
            return self.open(signal, context);
        }
        let fills = self.fills(&signal.named, context)?;
        if self.status == Status::Completed {
            return self.decide_after_completion(signal, fills, context);
        }
        match &signal.report {
            Report::Started { .. } if self.start.is_some() => Ok(Decision::Duplicate),
            Report::Heartbeat { progress } => self.decide_heartbeat(progress, fills, context),
            report => Ok(Decision::Record(vec![context.fact(recorded(report, fills))])),
        }
    }

    /// A signal for an unknown run opens it with an inferred dispatch.
    fn open(
        &self,
        signal: &SignalReport,
        context: &RunContext<'_>,
    ) -> Result<Decision, RunRefusal> {
        if context.strict {
            return Err(RunRefusal::StateConflict(NOT_DISPATCHED));
        }
        let Some(operation) = &signal.named.operation else {
            return Err(RunRefusal::UnknownRun(context.run_id));
        };
        check_environment(&signal.named, context)?;
        let mut event = dispatched(operation, &signal.named, &signal.origin, context);
        event.inferred = true;
        let mut facts = vec![context.fact(RunEvent::Dispatched(Box::new(event)))];
        if signal.report.signal() == Signal::Heartbeat {
            facts.push(context.fact(inferred_start()));
        }
        facts.push(context.fact(recorded(&signal.report, Named::default())));
        Ok(Decision::Record(facts))
    }

    fn decide_heartbeat(
        &self,
        progress: &Option<Progress>,
        fills: Named,
        context: &RunContext<'_>,
    ) -> Result<Decision, RunRefusal> {
        let progress = progress.clone().filter(|progress| !progress.is_empty());
        let beat = |fills| {
            context.fact(RunEvent::Heartbeat(Heartbeat { fills, progress: progress.clone() }))
        };
        if self.start.is_none() {
            if context.strict {
                return Err(RunRefusal::StateConflict("the run has not been started"));
            }
            return Ok(Decision::Record(vec![context.fact(inferred_start()), beat(fills)]));
        }
        let moved = progress.is_some() && progress != self.progress;
        // Both times are the ledger's: a source's wrong clock must not make its run stale.
        let due = match (self.lifecycle.run_window, self.last_sign_of_life) {
            (Some(window), Some(last)) => context.recorded_at.since(last) >= window.quarter(),
            _ => false,
        };
        if moved || due { Ok(Decision::Record(vec![beat(fills)])) } else { Ok(Decision::Coalesced) }
    }

    /// The first terminal truth is the historical one. What comes later is kept beside it.
    fn decide_after_completion(
        &self,
        signal: &SignalReport,
        fills: Named,
        context: &RunContext<'_>,
    ) -> Result<Decision, RunRefusal> {
        let completed = |decision| {
            if context.strict {
                return Err(RunRefusal::StateConflict("the run has completed"));
            }
            Ok(decision)
        };
        let Some(outcome) = signal.report.outcome() else {
            return match &signal.report {
                Report::Started { .. } if self.start.is_none() => {
                    completed(Decision::Record(vec![context.fact(recorded(&signal.report, fills))]))
                }
                Report::Started { .. } => Ok(Decision::Duplicate),
                _ => completed(Decision::Coalesced),
            };
        };
        let Some(agrees) = self.late_word(outcome) else {
            // `ended` says nothing new of a run that ended otherwise, but it repeats nothing either.
            let repeated = outcome == self.outcome || self.has_late(outcome);
            return if repeated { Ok(Decision::Duplicate) } else { completed(Decision::Duplicate) };
        };
        let late = LateSignal {
            agrees,
            data: carried(&signal.report),
            fills,
            outcome,
            signal: signal.report.signal(),
        };
        completed(Decision::Record(vec![context.fact(RunEvent::LateSignal(late))]))
    }

    /// Whether a terminal signal with `outcome` on this completed run is news, and then whether
    /// it agrees with what the ledger holds for true. None: a duplicate.
    fn late_word(&self, outcome: Outcome) -> Option<bool> {
        if self.has_late(outcome) {
            return None;
        }
        if outcome == self.outcome {
            return self.is_reconciled().then_some(true);
        }
        match outcome {
            // `ended` says nothing new about a run that is known to have ended.
            Outcome::Unknown => None,
            Outcome::Succeeded => Some(self.proof.is_some()),
            _ => Some(false),
        }
    }

    fn has_late(&self, outcome: Outcome) -> bool {
        self.late.iter().any(|late| late.outcome == outcome)
    }

    fn decide_follow_up(
        &self,
        word: &FollowUpCommand,
        context: &RunContext<'_>,
    ) -> Result<Decision, RunRefusal> {
        if !self.exists() {
            return Err(RunRefusal::UnknownRun(context.run_id));
        }
        if self.status != Status::Completed {
            return Err(RunRefusal::NotTerminal);
        }
        let same = self.follow_up.as_ref().is_some_and(|last| {
            last.action == word.action && last.by == word.by && last.reason == word.reason
        });
        if same {
            return Ok(Decision::Duplicate);
        }
        if word.action == FollowUpAction::Resolve
            && word.unless_resolved
            && let Some(last) = self.resolution()
        {
            let (by, reason) = (last.by.clone(), last.reason.clone());
            return Err(RunRefusal::AlreadyResolved { by, reason, at: last.recorded_at });
        }
        let record = FollowUpRecord {
            by: word.by.clone(),
            note: word.note.clone(),
            reason: word.reason.clone(),
        };
        let event = match word.action {
            FollowUpAction::Resolve => RunEvent::FollowUpResolved(record),
            FollowUpAction::Reopen if self.resolution().is_none() => {
                return Err(RunRefusal::NotResolved);
            }
            FollowUpAction::Reopen => RunEvent::FollowUpReopened(record),
        };
        Ok(Decision::Record(vec![context.fact(event)]))
    }

    /// Checks that `named` names no other run, and returns what of it the run takes over: of an
    /// inferred run whatever is open, of every run external ids that it does not have yet.
    fn fills(&self, named: &Named, context: &RunContext<'_>) -> Result<Named, RunRefusal> {
        if let (Some(is), Some(named)) = (&self.operation, &named.operation) {
            // What the run has is resolved as well: since it was recorded, a newer catalog may have
            // made an alias of it.
            let canonical = |name: &Name| context.catalog.canonical(name.as_str()).to_owned();
            if canonical(is) != canonical(named) {
                return Err(mismatch("operation", Some(is), named));
            }
        }
        let filled = Named {
            environment: self.open_part("environment", &self.environment, &named.environment)?,
            subject: self.open_part("subject", &self.subject, &named.subject)?,
            fingerprint: self.open_part("fingerprint", &self.fingerprint, &named.fingerprint)?,
            ..Named::default()
        };
        if filled.environment.is_some() {
            let operation = self.operation.clone();
            check_environment(&Named { operation, ..filled.clone() }, context)?;
        }
        let external_ids = self.new_external_ids(&named.external_ids);
        if !self.inferred {
            return Ok(Named { external_ids, ..Named::default() });
        }
        let queue = named.queue.clone().filter(|_| self.queue.is_none());
        Ok(Named {
            connection: named.connection.clone().filter(|_| queue.is_some()),
            external_ids,
            job_class: named.job_class.clone().filter(|_| self.job_class.is_none()),
            queue,
            ..filled
        })
    }

    /// What a report names of one part of the identity, if it is still open. On a truly dispatched
    /// run nothing is open: naming what it does not have is a mismatch.
    fn open_part<T: Clone + PartialEq + ToString>(
        &self,
        field: &'static str,
        is: &Option<T>,
        named: &Option<T>,
    ) -> Result<Option<T>, RunRefusal> {
        match (is, named) {
            (_, None) => Ok(None),
            (Some(is), Some(named)) if is == named => Ok(None),
            (None, Some(named)) if self.inferred => Ok(Some(named.clone())),
            (is, Some(named)) => Err(mismatch(field, is.as_ref(), named)),
        }
    }
}

impl RunContext<'_> {
    fn fact(&self, event: RunEvent) -> Fact<RunEvent> {
        Fact { occurred_at: self.occurred_at, recorded_at: self.recorded_at, event }
    }
}

fn mismatch<T: ToString>(field: &'static str, is: Option<&T>, named: &T) -> RunRefusal {
    RunRefusal::IdentityMismatch {
        field,
        is: is.map_or_else(|| "not set".to_owned(), T::to_string),
        named: named.to_string(),
    }
}

/// An environment on an operation of scope `workspace` is refused; every other may have none.
fn check_environment(named: &Named, context: &RunContext<'_>) -> Result<(), RunRefusal> {
    let (Some(operation), Some(_)) = (&named.operation, &named.environment) else {
        return Ok(());
    };
    let operation = context.catalog.operation(operation.as_str());
    match operation.scope {
        OperationScope::Environment => Ok(()),
        OperationScope::Workspace => {
            Err(RunRefusal::EnvironmentNotAllowed { operation: operation.name.to_owned() })
        }
    }
}

/// The dispatch event of a run of `operation`, with the windows in force now.
fn dispatched(
    operation: &Name,
    named: &Named,
    origin: &Origin,
    context: &RunContext<'_>,
) -> Dispatched {
    let known = context.catalog.operation(operation.as_str());
    let lifecycle = if origin.endless { Lifecycle::default() } else { known.lifecycle };
    Dispatched {
        attempt: origin.attempt.unwrap_or(1).max(1),
        dispatch: DispatchRecord {
            connection: named.connection.clone(),
            correlation_version: 1,
            dispatched_at: context.occurred_at,
            job_class: named.job_class.clone(),
            queue: named.queue.clone(),
            run_id: context.run_id,
        },
        environment: named.environment.clone(),
        external_ids: named.external_ids.clone(),
        fingerprint: named.fingerprint.clone(),
        inferred: false,
        initiator: origin.initiator.clone(),
        labels: origin.labels.clone(),
        lifecycle,
        operation: Name::new(known.name).unwrap_or_else(|_| operation.clone()),
        parent_run_id: origin.parent_run_id,
        retry_of: origin.retry_of,
        subject: named.subject.clone(),
        unique: None,
    }
}

fn inferred_start() -> RunEvent {
    RunEvent::Started(Started { inferred: true, ..Started::default() })
}

/// The event of a signal that is recorded as it is.
fn recorded(report: &Report, fills: Named) -> RunEvent {
    match report.clone() {
        Report::Started { attempt, worker } => {
            RunEvent::Started(Started { attempt, fills, inferred: false, worker })
        }
        Report::Heartbeat { progress } => {
            let progress = progress.filter(|progress| !progress.is_empty());
            RunEvent::Heartbeat(Heartbeat { fills, progress })
        }
        Report::Succeeded { artifacts, summary } => {
            RunEvent::Succeeded(Succeeded { artifacts, fills, summary })
        }
        Report::Failed { message, outcome, reason_code, retryable } => {
            RunEvent::Failed(Failed { fills, message, outcome, reason_code, retryable })
        }
        Report::Cancelled { by, reason } => RunEvent::Cancelled(Cancelled { by, fills, reason }),
        Report::Ended { reason } => RunEvent::Ended(Ended { fills, reason }),
    }
}

/// What a late signal carried, in the shape of the event that it would have been.
fn carried(report: &Report) -> Value {
    let event = serde_json::to_value(recorded(report, Named::default()));
    match event.map(|mut event| event["data"].take()) {
        Ok(Value::Object(data)) if !data.is_empty() => Value::Object(data),
        _ => Value::Null,
    }
}

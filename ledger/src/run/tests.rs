//! The rules of DESIGN section 3 for one run: given these reports, when this one comes, then that
//! is recorded.

mod any_order;
mod dispatch;
mod endings;
mod follow_ups;
mod heartbeats;
mod identity;
mod reconciliation;
mod strict;

use std::sync::Arc;

use super::{
    AdapterDecision, Decision, Dispatch, FollowUpAction, FollowUpCommand, Named, Origin, Progress,
    Reconcile, Report, Run, RunCommand, RunContext, SignalReport,
};
use crate::catalog::Catalog;
use crate::fact::EventKind;
use crate::time::Moment;
use crate::words::{Name, Outcome, RunId, UniqueMode};

/// One run, told in order. Times are seconds.
#[derive(Clone, Debug)]
struct Story {
    catalog: Arc<Catalog>,
    holder: Option<RunId>,
    run: Run,
    strict: bool,
}

impl Story {
    fn new() -> Self {
        Story { catalog: Catalog::built_in(), holder: None, run: Run::default(), strict: false }
    }

    /// These reports, each recorded when it happened.
    fn given<const N: usize>(reports: [(i64, RunCommand); N]) -> Self {
        let mut story = Story::new();
        for (at, command) in reports {
            story.given_at(at, at, command);
        }
        story
    }

    /// A report that must be recorded.
    fn given_at(&mut self, recorded: i64, occurred: i64, command: RunCommand) {
        let said = self.when_at(recorded, occurred, command);
        assert!(said.contains("run."), "not recorded: {said}");
    }

    /// A report that is recorded when it happens.
    fn when(&mut self, at: i64, command: RunCommand) -> String {
        self.when_at(at, at, command)
    }

    /// What is said to a report: the names of the events, the word of the answer, or the code of
    /// the refusal.
    fn when_at(&mut self, recorded: i64, occurred: i64, command: RunCommand) -> String {
        let context = RunContext {
            catalog: &self.catalog,
            holder: self.holder,
            occurred_at: secs(occurred),
            recorded_at: secs(recorded),
            run_id: RunId(uuid::Uuid::from_u128(1)),
            strict: self.strict,
        };
        match self.run.decide(&command, &context) {
            Ok(Decision::Record(facts)) => {
                let mut types = Vec::new();
                for fact in facts {
                    types.push(fact.event.event_type().as_str());
                    self.run.apply(&fact);
                }
                types.join(" ")
            }
            Ok(Decision::Duplicate) => "duplicate".to_owned(),
            Ok(Decision::Coalesced) => "coalesced".to_owned(),
            Ok(Decision::NoChange) => "no_change".to_owned(),
            Ok(Decision::Existing(_)) => "existing".to_owned(),
            Err(refusal) => refusal.code().to_owned(),
        }
    }

    fn strictly(mut self) -> Self {
        self.strict = true;
        self
    }

    /// `queued pending`, `completed failed`.
    fn truth(&self) -> String {
        format!("{} {}", self.run.status, self.run.outcome)
    }
}

fn secs(seconds: i64) -> Moment {
    Moment::from_micros(seconds * 1_000_000)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Reads `operation=inventory.sync environment=prod`.
fn named(text: &str) -> Named {
    let mut named = Named::default();
    for part in text.split_whitespace() {
        let (key, value) = part.split_once('=').unwrap();
        match key {
            "connection" => named.connection = Some(name(value)),
            "environment" => named.environment = Some(name(value)),
            "fingerprint" => named.fingerprint = Some(name(value)),
            "job_class" => named.job_class = Some(name(value)),
            "operation" => named.operation = Some(name(value)),
            "queue" => named.queue = Some(name(value)),
            "subject" => named.subject = Some(value.parse().unwrap()),
            _ => panic!("a run names no {key}"),
        }
    }
    named
}

/// A dispatch of `operation=…` and what else is named.
fn dispatch(text: &str) -> RunCommand {
    unique_dispatch(text, None)
}

fn unique_dispatch(text: &str, unique: Option<UniqueMode>) -> RunCommand {
    let mut named = named(text);
    let operation = named.operation.take().unwrap();
    let origin = Origin::default();
    RunCommand::Dispatch(Box::new(Dispatch {
        correlation_version: 1,
        operation,
        named,
        origin,
        unique,
    }))
}

/// The dispatch of most stories: a run window of thirty minutes, a queue window of ten.
fn sync() -> RunCommand {
    dispatch("operation=inventory.sync environment=prod")
}

fn signal(text: &str, report: Report) -> RunCommand {
    let origin = Origin::default();
    RunCommand::Signal(Box::new(SignalReport { named: named(text), origin, report }))
}

/// A signal that names nothing.
fn told(report: Report) -> RunCommand {
    signal("", report)
}

fn started() -> Report {
    Report::Started { attempt: None, worker: None }
}

fn beat() -> Report {
    Report::Heartbeat { progress: None }
}

fn progress(done: u64) -> Report {
    Report::Heartbeat { progress: Some(Progress { done: Some(done), ..Progress::default() }) }
}

/// The terminal signal for `outcome`.
fn ends(outcome: Outcome) -> Report {
    match outcome {
        Outcome::Succeeded => {
            Report::Succeeded { artifacts: Vec::new(), summary: Default::default() }
        }
        Outcome::Cancelled => Report::Cancelled { by: None, reason: None },
        Outcome::Unknown => Report::Ended { reason: None },
        Outcome::Failed | Outcome::PartiallySucceeded | Outcome::Blocked => {
            Report::Failed { message: None, outcome, reason_code: name("broken"), retryable: None }
        }
        Outcome::Pending => panic!("no signal ends a run as pending"),
    }
}

fn follow_up(action: FollowUpAction, by: &str, reason: &str) -> RunCommand {
    let (by, reason) = (name(by), name(reason));
    RunCommand::FollowUp(FollowUpCommand { action, by, note: None, reason, unless_resolved: false })
}

/// Resolves what nobody has resolved yet.
fn resolve_once(by: &str, reason: &str) -> RunCommand {
    let (action, by, reason) = (FollowUpAction::Resolve, name(by), name(reason));
    RunCommand::FollowUp(FollowUpCommand { action, by, note: None, reason, unless_resolved: true })
}

fn resolve(by: &str, reason: &str) -> RunCommand {
    follow_up(FollowUpAction::Resolve, by, reason)
}

fn reopen(by: &str, reason: &str) -> RunCommand {
    follow_up(FollowUpAction::Reopen, by, reason)
}

fn reconcile(decision: AdapterDecision) -> RunCommand {
    reconcile_by("probe", decision, "seen", None)
}

fn reconcile_by(
    adapter: &str,
    decision: AdapterDecision,
    reason: &str,
    related: Option<&str>,
) -> RunCommand {
    RunCommand::Reconcile(Box::new(Reconcile {
        adapter: name(adapter),
        adapter_version: 1,
        decision,
        evaluated_at: secs(0),
        evidence: Default::default(),
        expected_events: None,
        reason_code: name(reason),
        related: related.map(|related| related.parse().unwrap()),
    }))
}

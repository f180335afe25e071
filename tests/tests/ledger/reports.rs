//! Reports in few words.

use std::collections::BTreeSet;

use runledger_ledger::run::{
    Dispatch, FollowUpAction, FollowUpCommand, Named, Origin, Progress, Report, RunCommand,
    SignalReport,
};
use runledger_ledger::subject::{Observe, SubjectKey, SubjectState};
use runledger_ledger::submission::{Command, ReportId, Submission};
use runledger_ledger::words::{Name, Note, Outcome, RunId, UniqueMode};
use runledger_ledger::worker::{WorkerKey, WorkerReport};
use runledger_ledger::workspace::WorkspaceCommand;
use serde_json::json;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn dispatch_command(operation: &str) -> Dispatch {
    Dispatch {
        correlation_version: 1,
        operation: name(operation),
        named: Named { environment: Some(name("prod")), ..Named::default() },
        origin: Origin::default(),
        unique: None,
    }
}

fn of_run(run: RunId, command: RunCommand) -> Submission {
    Submission::new(Command::Run(run, command))
}

pub(crate) fn dispatch(run: RunId) -> Submission {
    dispatch_of(run, "inventory.sync")
}

pub(crate) fn dispatch_of(run: RunId, operation: &str) -> Submission {
    of_run(run, RunCommand::Dispatch(Box::new(dispatch_command(operation))))
}

/// A dispatch that asks to be the only active run of this subject and fingerprint.
pub(crate) fn unique(run: RunId, mode: UniqueMode, value: &str) -> Submission {
    let mut dispatch = dispatch_command("inventory.sync");
    dispatch.unique = Some(mode);
    dispatch.named.subject = format!("tenant/{value}").parse().ok();
    dispatch.named.fingerprint = Some(name(value));
    of_run(run, RunCommand::Dispatch(Box::new(dispatch)))
}

pub(crate) fn signal(run: RunId, report: Report) -> Submission {
    let signal = SignalReport { named: Named::default(), origin: Origin::default(), report };
    of_run(run, RunCommand::Signal(Box::new(signal)))
}

/// A signal that may open its run.
pub(crate) fn opening(run: RunId, report: Report) -> Submission {
    let named = Named { operation: Some(name("inventory.sync")), ..Named::default() };
    let signal = SignalReport { named, origin: Origin::default(), report };
    of_run(run, RunCommand::Signal(Box::new(signal)))
}

pub(crate) fn started(run: RunId) -> Submission {
    signal(run, Report::Started { attempt: None, worker: None })
}

pub(crate) fn progress(run: RunId, done: u64) -> Submission {
    let progress = Progress { done: Some(done), ..Progress::default() };
    signal(run, Report::Heartbeat { progress: Some(progress) })
}

pub(crate) fn succeeded(run: RunId) -> Submission {
    signal(run, Report::Succeeded { artifacts: Vec::new(), summary: Default::default() })
}

pub(crate) fn failed(run: RunId) -> Submission {
    let (message, reason_code) = (None, name("broken"));
    let outcome = Outcome::Failed;
    signal(run, Report::Failed { message, outcome, reason_code, retryable: None })
}

/// A success whose summary holds a number that some readers would round.
pub(crate) fn not_canonical(run: RunId) -> Submission {
    let number = runledger_ledger::run::Scalar::Number(1 << 53);
    let summary = [(name("rows"), number)].into();
    signal(run, Report::Succeeded { artifacts: Vec::new(), summary })
}

/// A dispatch with more labels than an event can hold.
pub(crate) fn too_large(run: RunId) -> Submission {
    let mut dispatch = dispatch_command("inventory.sync");
    let note = Note::new("x".repeat(4_000)).unwrap();
    dispatch.origin.labels =
        (0..17).map(|number| (name(&format!("label{number}")), note.clone())).collect();
    of_run(run, RunCommand::Dispatch(Box::new(dispatch)))
}

pub(crate) fn resolve(run: RunId) -> Submission {
    let (by, reason) = (name("ops@example.test"), name("fixed_by_hand"));
    let action = FollowUpAction::Resolve;
    of_run(
        run,
        RunCommand::FollowUp(FollowUpCommand {
            action,
            by,
            note: None,
            reason,
            unless_resolved: false,
        }),
    )
}

pub(crate) fn observed(id: &str) -> Submission {
    let subject = format!("tenant/{id}").parse().unwrap();
    let key = SubjectKey { environment: Some(name("prod")), subject };
    let state = SubjectState::Healthy;
    let observe =
        Observe { evidence: Default::default(), state, verified_at: None, verifier: None };
    Submission::new(Command::Subject(key, observe))
}

pub(crate) fn seen(worker: &str) -> Submission {
    let key = WorkerKey { connection: None, worker: name(worker) };
    let queues = BTreeSet::from([name("default")]);
    Submission::new(Command::Worker(key, WorkerReport::Seen { lease_seconds: 60, queues }))
}

pub(crate) fn publish(text: &str) -> Submission {
    let command = WorkspaceCommand::PublishCatalog { text: text.to_owned(), reason: None };
    Submission::new(Command::Workspace(command))
}

/// The same report under an id of the source `worker`, saying `content`.
pub(crate) fn with_id(mut submission: Submission, id: &str, content: &str) -> Submission {
    submission.source = Some(name("worker"));
    submission.id = Some(ReportId { id: name(id), content: json!({"says": content}) });
    submission
}

//! A ledger with read models and a clock that a test turns, and short words for what happens in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{
    Dispatch, FollowUpAction, FollowUpCommand, Named, Origin, Report, RunCommand, SignalReport,
};
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::subject::{Observe, SubjectKey, SubjectState};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, Outcome, RunId, Subject, WorkspaceId};
use runledger_ledger::worker::{WorkerKey, WorkerReport};
use runledger_ledger::workspace::{LedgerBlind, WorkspaceCommand};
use runledger_projections::{AsOf, Projections, View};
use tempfile::TempDir;
use uuid::Uuid;

/// 2026-01-01T00:00:00Z, where every world begins.
pub const BEGIN: Moment = Moment::from_micros(1_767_225_600_000_000);

/// A ledger on a database of its own, with one workspace under the built-in catalog.
#[derive(Clone, Debug)]
pub struct World {
    /// Its clock.
    pub clock: Clock,
    /// The ledger.
    pub ledger: Ledger,
    /// The read models; they follow when [`World::view`] is asked.
    pub projections: Projections,
    /// The workspace that the words below mean.
    pub workspace: WorkspaceId,
    /// Where its database is, if it goes with the world.
    _directory: Option<Arc<TempDir>>,
}

impl World {
    /// A world on SQLite, in a file: memory is gone with its one connection, which whoever gives up
    /// waiting may take along.
    pub async fn sqlite() -> World {
        let directory = must(tempfile::tempdir(), "a directory");
        let url = StoreUrl::SqliteScratch(directory.path().join("ledger.db"));
        World { _directory: Some(Arc::new(directory)), ..World::open(&url).await }
    }

    /// A world on a fresh PostgreSQL database, under the role of a service.
    pub async fn postgres() -> World {
        World::open(&StoreUrl::Postgres(crate::ledger_database().await)).await
    }

    /// A world on this database.
    ///
    /// # Panics
    /// When the database is not to be had, as every word below: no test can go on then.
    pub async fn open(url: &StoreUrl) -> World {
        let store = must(Store::open(url).await, "a store");
        let clock = Clock::manual(BEGIN);
        let ledger = Ledger::new(store, clock.clone(), Entropy::seeded(7));
        let projections = must(Projections::new(ledger.clone()), "read models");
        let created = ledger.create_workspace(&name("main"), &Catalog::built_in()).await;
        let workspace = must(created, "a workspace");
        World { clock, ledger, projections, workspace, _directory: None }
    }

    /// The same world, where another new workspace is meant.
    pub async fn other_workspace(&self, called: &str) -> World {
        let created = self.ledger.create_workspace(&name(called), &Catalog::built_in()).await;
        World { workspace: must(created, "a workspace"), ..self.clone() }
    }

    /// The same world, asked through read models that have kept nothing of the past.
    pub fn afresh(&self) -> World {
        let projections = must(Projections::new(self.ledger.clone()), "read models");
        World { projections, ..self.clone() }
    }

    /// Lets minutes pass.
    pub fn wait(&self, minutes: i64) {
        self.clock.advance(Span::from_secs(minutes * 60));
    }

    /// Hands in everything, and says what became of it.
    pub async fn submit(&self, submissions: Vec<Submission>) -> Vec<Answer> {
        must(self.ledger.submit(self.workspace, submissions, false).await, "answers")
    }

    /// The same for one command, which must be recorded.
    pub async fn record(&self, submission: Submission) {
        let answers = self.submit(vec![submission]).await;
        assert!(matches!(answers.as_slice(), [Answer::Recorded(_)]), "{answers:?}");
    }

    /// The read models now, with everything that is recorded.
    pub async fn view(&self) -> View {
        must(self.projections.catch_up(self.workspace).await, "read models that have caught up");
        self.view_of(AsOf::Now).await
    }

    /// The read models as of a moment.
    pub async fn view_of(&self, as_of: AsOf) -> View {
        must(self.projections.view(self.workspace, as_of).await, "a view")
    }
}

fn must<T, E: std::error::Error>(result: Result<T, E>, wanted: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("no {wanted}: {error}: {:?}", error.source()),
    }
}

/// A name.
///
/// # Panics
/// When it may not be one.
pub fn name(text: &str) -> Name {
    must(Name::new(text), "name")
}

/// A run id, the same for the same number; greater for a greater one.
pub fn run(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

/// Names an environment.
pub fn within(environment: &str) -> Named {
    Named { environment: Some(name(environment)), ..Named::default() }
}

/// A subject.
///
/// # Panics
/// When it is not `type/id`.
pub fn subject(text: &str) -> Subject {
    must(text.parse(), "subject")
}

/// A run is asked for.
pub fn dispatch(run: RunId, operation: &str, named: Named) -> Submission {
    let dispatch = Dispatch {
        correlation_version: 1,
        operation: name(operation),
        named,
        origin: Origin::default(),
        unique: None,
    };
    Submission::new(Command::Run(run, RunCommand::Dispatch(Box::new(dispatch))))
}

/// A run reports.
pub fn signal(run: RunId, report: Report) -> Submission {
    let signal = SignalReport { named: Named::default(), origin: Origin::default(), report };
    Submission::new(Command::Run(run, RunCommand::Signal(Box::new(signal))))
}

/// A run began.
pub fn started(run: RunId) -> Submission {
    signal(run, Report::Started { attempt: None, worker: None })
}

/// A run ended.
///
/// # Panics
/// When it is asked to end as pending.
pub fn ended(run: RunId, outcome: Outcome) -> Submission {
    let report = match outcome {
        Outcome::Pending => panic!("no signal ends a run as pending"),
        Outcome::Succeeded => Report::Succeeded { artifacts: Vec::new(), summary: [].into() },
        Outcome::Cancelled => Report::Cancelled { by: None, reason: None },
        Outcome::Unknown => Report::Ended { reason: None },
        outcome => {
            Report::Failed { message: None, outcome, reason_code: name("timeout"), retryable: None }
        }
    };
    signal(run, report)
}

/// A person speaks about a run.
pub fn follow_up(run: RunId, action: FollowUpAction) -> Submission {
    let by = name("ops@example.test");
    let word = FollowUpCommand {
        action,
        by,
        note: None,
        reason: name("looked_at"),
        unless_resolved: false,
    };
    Submission::new(Command::Run(run, RunCommand::FollowUp(word)))
}

/// A subject was seen.
pub fn observed(environment: Option<&str>, of: &str, state: SubjectState) -> Submission {
    let key = SubjectKey { environment: environment.map(name), subject: subject(of) };
    let observe = Observe { evidence: [].into(), state, verified_at: None, verifier: None };
    Submission::new(Command::Subject(key, observe))
}

/// A worker without a connection says which queues it takes from, for five minutes.
pub fn worker(worker: &str, queues: &[&str]) -> Submission {
    let key = WorkerKey { connection: None, worker: name(worker) };
    let queues: BTreeSet<Name> = queues.iter().map(|queue| name(queue)).collect();
    Submission::new(Command::Worker(key, WorkerReport::Seen { lease_seconds: 300, queues }))
}

/// A worker without a connection goes.
pub fn worker_stopped(worker: &str) -> Submission {
    let key = WorkerKey { connection: None, worker: name(worker) };
    Submission::new(Command::Worker(key, WorkerReport::Stopped))
}

/// The ledger could not listen.
pub fn blind(from: Moment, to: Moment) -> Submission {
    Submission::new(Command::Workspace(WorkspaceCommand::NoteBlind(LedgerBlind { from, to })))
}

/// A catalog comes into force.
pub fn catalog(text: &str) -> Submission {
    let text = text.to_owned();
    Submission::new(Command::Workspace(WorkspaceCommand::PublishCatalog { text, reason: None }))
}

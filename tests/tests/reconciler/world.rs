//! Servers without their HTTP over one database, and a clock that a test turns.

use runledger::reconciler::Reconciler;
use runledger_adapters::built_in;
use runledger_adapters::registry::Registry;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{Dispatch, Named, Origin, Report, Run, RunCommand, SignalReport};
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, RunId, Subject, WorkspaceId};
use runledger_projections::rules::standing::Standing;
use runledger_projections::{AsOf, Projections};
use runledger_tests::superuser_of;
use tempfile::TempDir;
use tokio::sync::watch;

pub(crate) const START: Moment = Moment::from_micros(1_767_225_600_000_000);

/// A server without its HTTP.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) projections: Projections,
    pub(crate) reconciler: Reconciler,
    pub(crate) workspace: WorkspaceId,
    url: StoreUrl,
    _stop: watch::Sender<bool>,
    _directory: Option<TempDir>,
}

/// A database, and what it lies in as long as this is held. It is a file: memory is gone with its
/// one connection, which whoever gives up waiting may take along.
pub(crate) type Database = (StoreUrl, Option<TempDir>);

pub(crate) async fn database(kind: &str) -> Database {
    if kind != "sqlite" {
        return (StoreUrl::Postgres(runledger_tests::ledger_database().await), None);
    }
    let directory = tempfile::tempdir().unwrap();
    (StoreUrl::SqliteScratch(directory.path().join("ledger.db")), Some(directory))
}

/// Only the adapters of the product, without a domain.
pub(crate) fn alone() -> Registry {
    built_in(None).build(&Catalog::built_in()).unwrap()
}

impl World {
    pub(crate) async fn new(database: Database, registry: Registry) -> World {
        let (url, directory) = database;
        let world = World::at(url, registry, Clock::manual(START), 7).await;
        World { _directory: directory, ..world }
    }

    /// Another server over the same database, with the same clock.
    pub(crate) async fn another(&self, registry: Registry) -> World {
        World::at(self.url.clone(), registry, self.clock.clone(), 8).await
    }

    async fn at(url: StoreUrl, registry: Registry, clock: Clock, seed: u64) -> World {
        let store = Store::open(&url).await.unwrap();
        let ledger = Ledger::new(store, clock.clone(), Entropy::seeded(seed));
        let name = Name::new("main").unwrap();
        let known = ledger.store().workspace_by_name("main").await.unwrap();
        let workspace = match known {
            Some(workspace) => workspace,
            None => ledger.create_workspace(&name, &Catalog::built_in()).await.unwrap(),
        };
        let projections = Projections::new(ledger).unwrap();
        projections.catch_up(workspace).await.unwrap();
        projections.ledger().store().note_listening(clock.now()).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let follower = projections.clone();
        tokio::spawn(async move { follower.follow(stopped).await });
        let reconciler = Reconciler::new(projections.clone(), registry, Entropy::seeded(seed));
        World { clock, projections, reconciler, workspace, url, _stop: stop, _directory: None }
    }

    pub(crate) fn store(&self) -> &Store {
        self.projections.ledger().store()
    }

    /// The clock goes on, and the ledger listens all the while.
    pub(crate) async fn go_to(&self, after: Span) {
        self.clock.set(START.plus(after));
        self.store().note_listening(self.clock.now()).await.unwrap();
    }

    pub(crate) async fn look(&self) -> Option<Moment> {
        self.reconciler.look().await.unwrap()
    }

    /// A run that was just asked for.
    pub(crate) async fn dispatched(&self, operation: &str) -> RunId {
        let run = self.projections.ledger().new_run_id().unwrap();
        self.submit(vec![Submission::new(Command::Run(run, dispatch(operation)))]).await;
        run
    }

    /// So many of them.
    pub(crate) async fn many(&self, operation: &str, count: usize) -> Vec<RunId> {
        let ids = (0..count).map(|_| self.projections.ledger().new_run_id().unwrap());
        let ids: Vec<RunId> = ids.collect();
        let runs = ids.iter().map(|run| Command::Run(*run, dispatch(operation)));
        self.submit(runs.map(Submission::new).collect()).await;
        ids
    }

    pub(crate) async fn report(&self, run: RunId, report: Report) {
        self.submit(vec![Submission::new(Command::Run(run, signal(report)))]).await;
    }

    pub(crate) async fn submit(&self, submissions: Vec<Submission>) {
        let ledger = self.projections.ledger();
        for answer in ledger.submit(self.workspace, submissions, false).await.unwrap() {
            assert!(matches!(answer, Answer::Recorded(_)), "{answer:?}");
        }
    }

    pub(crate) async fn events(&self) -> u64 {
        self.store().head(self.workspace).await.unwrap().unwrap().size()
    }

    /// How many events of a type the log holds.
    pub(crate) async fn count(&self, kind: &str) -> usize {
        let log = self.store().log(self.workspace, 0, u64::MAX >> 1, 100_000).await.unwrap();
        let kind = format!("\"type\":\"{kind}\"");
        log.iter().filter(|event| String::from_utf8_lossy(&event.body).contains(&kind)).count()
    }

    pub(crate) async fn recorded(&self, run: RunId) -> Run {
        self.projections.catch_up(self.workspace).await.unwrap();
        let view = self.projections.view(self.workspace, AsOf::Now).await.unwrap();
        view.recorded(run).await.unwrap().unwrap()
    }

    pub(crate) async fn standing(&self, run: RunId) -> Standing {
        self.projections.catch_up(self.workspace).await.unwrap();
        let view = self.projections.view(self.workspace, AsOf::Now).await.unwrap();
        view.run(run).await.unwrap().unwrap()
    }

    /// Every wake is lost.
    pub(crate) async fn lose_all_wakes(&self) -> u64 {
        self.lose("DELETE FROM reconciler_wakes").await
    }

    /// Rows are lost; how many.
    pub(crate) async fn lose(&self, statement: &'static str) -> u64 {
        match self.store().postgres() {
            Some(pool) => {
                let mut connection = superuser_of(pool).await;
                sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected()
            }
            None => {
                let (writer, _) = self.store().sqlite().unwrap();
                sqlx::query(statement).execute(writer).await.unwrap().rows_affected()
            }
        }
    }

    /// The whole log as text.
    pub(crate) async fn log(&self) -> String {
        let log = self.store().log(self.workspace, 0, u64::MAX >> 1, 100_000).await.unwrap();
        log.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
    }
}

pub(crate) fn dispatch(operation: &str) -> RunCommand {
    let name = |text: &str| Name::new(text).unwrap();
    let subject = Subject { id: name("1"), kind: name("provider_connection") };
    let named = Named { subject: Some(subject), ..Named::default() };
    RunCommand::Dispatch(Box::new(Dispatch {
        correlation_version: 1,
        operation: name(operation),
        named,
        origin: Origin::default(),
        unique: None,
    }))
}

pub(crate) fn signal(report: Report) -> RunCommand {
    let (named, origin) = (Named::default(), Origin::default());
    RunCommand::Signal(Box::new(SignalReport { named, origin, report }))
}

pub(crate) fn started() -> Report {
    Report::Started { attempt: None, worker: None }
}

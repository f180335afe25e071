//! What falls due by itself: runs that nobody reports of any more.

use std::net::SocketAddr;
use std::time::Duration;

use rstest::rstest;
use runledger::limits::LimitSettings;
use runledger::listening;
use runledger::server::Server;
use runledger::settings::{AdapterSettings, LogFormat, Settings};
use runledger_adapters::lifecycle;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::RunCommand;
use runledger_ledger::store::trust::Danger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::Span;
use runledger_ledger::words::{Outcome, RunId, Status};
use runledger_projections::{AsOf, ProjectionError, Projections};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::world::{START, World, alone, database, dispatch, signal, started};

const ANOTHER_SERVER: Uuid = Uuid::from_u128(2);
/// A run of the family waits ten minutes, and is given up a day later.
const DUE: Span = Span::from_secs(600 + 86_400);

/// A server, and a run in it that waits from the start.
async fn waiting(kind: &str) -> (World, RunId) {
    let world = World::new(database(kind).await, alone()).await;
    let run = world.dispatched("inventory.sync").await;
    world.projections.catch_up(world.workspace).await.unwrap();
    (world, run)
}

#[rstest]
#[tokio::test]
async fn a_silent_run_is_given_up_at_its_moment_and_once(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, run) = waiting(kind).await;
    let before = world.events().await;
    world.go_to(DUE.minus(Span::from_micros(1))).await;
    assert_eq!(world.look().await, Some(START.plus(DUE)));
    assert_eq!(world.events().await, before);

    world.go_to(DUE).await;
    world.look().await;
    let run = world.recorded(run).await;
    assert_eq!((run.outcome, run.settled_at), (Outcome::Unknown, Some(START.plus(DUE))));
    let decision = run.reconciliation.unwrap();
    assert_eq!(
        (decision.adapter.as_str(), decision.reason_code.as_str()),
        ("lifecycle", "abandoned")
    );

    assert_eq!(world.look().await, None);
    assert_eq!(world.events().await, before + 1);
}

#[rstest]
#[tokio::test]
async fn nothing_is_given_up_for_a_silence_in_which_nobody_listened(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, run) = waiting(kind).await;
    let before = world.events().await;
    // The server was down for three days. It may act on nothing before that is recorded.
    world.clock.set(START.plus(DUE).plus(DUE));
    assert_eq!(world.look().await, None);
    assert_eq!(world.events().await, before);

    let everywhere = async |_, _| Ok::<bool, ProjectionError>(true);
    listening::mark(world.projections.ledger(), everywhere).await.unwrap();
    world.look().await;
    assert_eq!(world.recorded(run).await.outcome, Outcome::Pending);
    assert_eq!(world.events().await, before + 1);

    // From then on, silence counts again.
    world.go_to(DUE.plus(DUE).plus(DUE)).await;
    world.look().await;
    assert_eq!(world.recorded(run).await.outcome, Outcome::Unknown);
}

#[rstest]
#[tokio::test]
async fn one_server_reconciles_a_workspace_at_a_time(#[values("sqlite", "postgresql")] kind: &str) {
    let (world, run) = waiting(kind).await;
    world.go_to(DUE).await;
    let lease = format!("reconciler/{}", world.workspace);
    let now = world.clock.now();
    let minute = Span::from_secs(60);
    assert!(world.store().take_lease(&lease, ANOTHER_SERVER, now, minute).await.unwrap());
    world.look().await;
    assert_eq!(world.recorded(run).await.outcome, Outcome::Pending);

    // It dies without giving the lease back.
    world.go_to(DUE.plus(minute)).await;
    world.look().await;
    assert_eq!(world.recorded(run).await.outcome, Outcome::Unknown);
}

/// Whatever moves a run between the look and the decision, the decision is made again.
#[rstest]
#[tokio::test]
async fn a_run_that_moved_meanwhile_is_not_forced(#[values("sqlite", "postgresql")] kind: &str) {
    let (world, run) = waiting(kind).await;
    world.go_to(DUE).await;
    let now = world.clock.now();
    let due = world.projections.overdue(world.workspace, now, 10).await.unwrap();
    let decision = lifecycle::abandon(&due[0].run, due[0].due_at, now).unwrap().unwrap();
    // The worker comes back before the decision is handed over.
    let commands = [signal(started()), RunCommand::Reconcile(Box::new(decision))];
    let commands = commands.map(|command| Submission::new(Command::Run(run, command))).into();
    let answers =
        world.projections.ledger().submit(world.workspace, commands, false).await.unwrap();
    let Answer::Refused(refusal) = &answers[1] else { panic!("{answers:?}") };
    assert_eq!(refusal.code(), "run_moved");
    world.look().await;
    assert_eq!(world.recorded(run).await.status, Status::Running);
}

const IMPATIENT: &str = r#"
version = 1
[family.unclassified]
title = { en = "Unclassified", de = "Nicht eingeordnet" }
[family.impatient]
title = { en = "Impatient", de = "Ungeduldig" }
queue_window = "1s"
abandon_after = "1s"
[operation."impatient"]
family = "impatient"
title = { en = "Impatient", de = "Ungeduldig" }
"#;

#[rstest]
#[tokio::test]
async fn a_running_server_gives_up_what_is_silent(#[values("sqlite", "postgresql")] kind: &str) {
    let dir = tempfile::tempdir().unwrap();
    let catalog = dir.path().join("catalog.toml");
    std::fs::write(&catalog, IMPATIENT).unwrap();
    let (database, _directory) = match kind {
        "sqlite" => (StoreUrl::SqliteFile(dir.path().join("ledger.db")), None),
        kind => database(kind).await,
    };
    let settings = Settings {
        archive_after_days: None,
        archives: Vec::new(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: dir.path().to_owned(),
        database: database.clone(),
        log: "info".to_owned(),
        log_format: LogFormat::Text,
        connections: 100,
        catalog: Some(catalog),
        workspace: "main".parse().unwrap(),
        waived: vec![Danger::Durability],
        witnesses: None,
        limits: LimitSettings::default(),
        scanners: None,
        oidc: None,
        adapters: AdapterSettings::default(),
    };
    let server = Server::start(&settings).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));

    // Another process over the same database asks for the run, and is not heard of again.
    let store = Store::open(&database).await.unwrap();
    let ledger = Ledger::new(store, Clock::system(), Entropy::system());
    let main = ledger.store().workspace_by_name("main").await.unwrap().unwrap();
    let run = ledger.new_run_id().unwrap();
    let dispatch = Submission::new(Command::Run(run, dispatch("impatient")));
    let answers = ledger.submit(main, vec![dispatch], false).await.unwrap();
    let Answer::Recorded(receipt) = &answers[0] else { panic!("{answers:?}") };
    let projections = Projections::new(ledger).unwrap();
    let patience = Duration::from_secs(60);
    assert!(projections.wait(main, receipt.position + 1, patience).await.unwrap());
    let view = projections.view(main, AsOf::Now).await.unwrap();
    assert_eq!(view.recorded(run).await.unwrap().unwrap().outcome, Outcome::Unknown);

    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

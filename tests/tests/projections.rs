//! The read models on both databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{Dispatch, Named, Origin, Report, RunCommand, SignalReport};
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, Outcome, RunId};
use runledger_projections::{AsOf, Projections};

fn dispatch(run: RunId) -> Submission {
    let dispatch = Dispatch {
        correlation_version: 1,
        operation: Name::new("inventory.sync").unwrap(),
        named: Named { environment: Name::new("prod").ok(), ..Named::default() },
        origin: Origin::default(),
        unique: None,
    };
    Submission::new(Command::Run(run, RunCommand::Dispatch(Box::new(dispatch))))
}

fn signal(run: RunId, report: Report) -> Submission {
    let signal = SignalReport { named: Named::default(), origin: Origin::default(), report };
    Submission::new(Command::Run(run, RunCommand::Signal(Box::new(signal))))
}

async fn follow_and_look_back(url: StoreUrl) {
    let store = Store::open(&url).await.unwrap();
    let clock = Clock::manual(Moment::from_micros(1_000_000));
    let ledger = Ledger::new(store, clock.clone(), Entropy::seeded(1));
    let projections = Projections::new(ledger.clone()).unwrap();
    let name = Name::new("main").unwrap();
    let workspace = ledger.create_workspace(&name, &Catalog::built_in()).await.unwrap();
    let run = ledger.new_run_id().unwrap();
    ledger.submit(workspace, vec![dispatch(run)], false).await.unwrap();
    clock.advance(Span::from_secs(60));
    let done = Report::Succeeded { artifacts: Vec::new(), summary: Default::default() };
    ledger.submit(workspace, vec![signal(run, done)], false).await.unwrap();
    assert_eq!(projections.catch_up(workspace).await.unwrap(), 4);
    let outcome = async |as_of| {
        let view = projections.view(workspace, as_of).await.unwrap();
        view.recorded(run).await.unwrap().map(|run| run.outcome)
    };
    assert_eq!(outcome(AsOf::Now).await, Some(Outcome::Succeeded));
    assert_eq!(outcome(AsOf::Position(2)).await, Some(Outcome::Pending));
    assert_eq!(outcome(AsOf::Position(1)).await, None);
    let moment = Moment::from_micros(31_000_000);
    assert_eq!(outcome(AsOf::Moment(moment)).await, Some(Outcome::Pending));
    assert_eq!(projections.rebuild(workspace, &|_| {}).await.unwrap(), 4);
    assert_eq!(outcome(AsOf::Now).await, Some(Outcome::Succeeded));
}

#[tokio::test]
async fn the_past_and_the_present_are_answered_on_sqlite() {
    follow_and_look_back(StoreUrl::SqliteMemory).await;
}

#[tokio::test]
async fn the_past_and_the_present_are_answered_on_postgresql() {
    follow_and_look_back(StoreUrl::Postgres(runledger_tests::ledger_database().await)).await;
}

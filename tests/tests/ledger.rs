//! The ledger on both databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{Dispatch, Named, Origin, Report, RunCommand, SignalReport};
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId};

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

async fn smoke(url: StoreUrl) {
    let store = Store::open(&url).await.unwrap();
    let ledger = Ledger::new(store, Clock::manual(Moment::EPOCH), Entropy::seeded(1));
    let name = Name::new("main").unwrap();
    let workspace = ledger.create_workspace(&name, &Catalog::built_in()).await.unwrap();
    let run = ledger.new_run_id().unwrap();
    let started = Report::Started { attempt: None, worker: None };
    let done = Report::Succeeded { artifacts: Vec::new(), summary: Default::default() };
    let all = vec![
        dispatch(run),
        dispatch(run),
        signal(run, started.clone()),
        signal(run, started),
        signal(run, done.clone()),
        signal(RunId(uuid::Uuid::nil()), done),
    ];
    let answers = ledger.submit(workspace, all, false).await.unwrap();
    let words: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Recorded(receipt) => receipt.position.to_string(),
            Answer::Duplicate { .. } => "duplicate".to_owned(),
            Answer::Refused(refusal) => refusal.code().to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(words, ["2", "duplicate", "3", "duplicate", "4", "unknown_run"]);
    assert_eq!(ledger.store().head(workspace).await.unwrap().unwrap().size(), 5);
}

#[tokio::test]
async fn a_run_is_recorded_on_sqlite() {
    smoke(StoreUrl::SqliteMemory).await;
}

#[tokio::test]
async fn a_run_is_recorded_on_postgresql() {
    smoke(StoreUrl::Postgres(runledger_tests::test_database().await)).await;
}

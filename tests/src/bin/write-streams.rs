//! Writes streams to a fresh PostgreSQL database through the ledger, for a reader that cannot link
//! the ledger: prints one line of JSON that says where they are and what they hold, and keeps the
//! database until standard input ends.
//!
//! `tests/postgres-es` starts it. The two cannot be one program: they need different versions of
//! sqlx, whose SQLite libraries cannot be linked together.

use std::io::{Write, copy, sink, stdin, stdout};

use cqrs_es::{AggregateContext as _, DomainEvent as _, EventStore as _};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::cqrs::RunStore;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{Dispatch, Named, Origin, Progress, Report, RunCommand, SignalReport};
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::words::{Name, Note, Outcome, RunId, UniqueMode, WorkspaceId};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = runledger_tests::test_database().await;
    let store = Store::open(&StoreUrl::Postgres(url.clone())).await?;
    let ledger = Ledger::new(store, Clock::system(), Entropy::system());
    let mut workspaces = Vec::new();
    // The same runs in both, told of differently: what one holds must not show in the other.
    let runs: Vec<RunId> = (0..3).map(|_| ledger.new_run_id()).collect::<Result<_, _>>()?;
    for (name, told) in [("one", 4), ("two", 2)] {
        let name = Name::new(name)?;
        let workspace = ledger.create_workspace(&name, &Catalog::built_in()).await?;
        let mut streams = Vec::new();
        for (run, stories) in runs.iter().zip(stories()?) {
            write(&ledger, workspace, *run, stories.into_iter().take(told)).await?;
            streams.push(describe(&ledger, workspace, *run).await?);
        }
        workspaces.push(json!({"workspace": workspace, "runs": streams}));
    }
    writeln!(stdout(), "{}", json!({"url": url, "workspaces": workspaces}))?;
    copy(&mut stdin(), &mut sink())?;
    Ok(())
}

/// What is told of each run.
fn stories() -> anyhow::Result<Vec<Vec<RunCommand>>> {
    let signal = |report| {
        let named = Named { operation: Name::new("backup.create").ok(), ..Named::default() };
        let origin = Origin::default();
        RunCommand::Signal(Box::new(SignalReport { named, origin, report }))
    };
    let labels = [(Name::new("team \"ü\" \u{1F600}")?, Note::new("line\none")?)].into();
    let named = Named { subject: "volume/a/b".parse().ok(), ..Named::default() };
    let dispatch = RunCommand::Dispatch(Box::new(Dispatch {
        correlation_version: 1,
        operation: Name::new("backup.create")?,
        named,
        origin: Origin { labels, ..Origin::default() },
        unique: Some(UniqueMode::Subject),
    }));
    let started = || signal(Report::Started { attempt: Some(2), worker: None });
    let progress = Progress { done: Some(1), total: Some(2), ..Progress::default() };
    let beat = || signal(Report::Heartbeat { progress: Some(progress.clone()) });
    let succeeded =
        || signal(Report::Succeeded { artifacts: Vec::new(), summary: Default::default() });
    let failed = signal(Report::Failed {
        message: Some(Note::new("the disk is full")?),
        outcome: Outcome::PartiallySucceeded,
        reason_code: Name::new("disk_full")?,
        retryable: Some(true),
    });
    Ok(vec![
        vec![dispatch, started(), beat(), succeeded()],
        vec![beat(), succeeded()],
        vec![started(), beat(), failed, succeeded()],
    ])
}

async fn write(
    ledger: &Ledger,
    workspace: WorkspaceId,
    run: RunId,
    story: impl Iterator<Item = RunCommand>,
) -> anyhow::Result<()> {
    let reports = story.map(|command| Submission::new(Command::Run(run, command))).collect();
    for answer in ledger.submit(workspace, reports, false).await? {
        anyhow::ensure!(matches!(answer, Answer::Recorded(_)), "not recorded: {answer:?}");
    }
    Ok(())
}

/// What the ledger itself says of a run, as it loads it.
async fn describe(ledger: &Ledger, workspace: WorkspaceId, run: RunId) -> anyhow::Result<Value> {
    let store = RunStore::new(ledger.clone(), workspace);
    let id = run.to_string();
    let envelopes = store.load_events(&id).await?;
    let mut loaded = store.load_aggregate(&id).await?;
    let run = loaded.aggregate();
    let events = envelopes.iter().map(|envelope| {
        json!({
            "sequence": envelope.sequence,
            "type": envelope.payload.event_type(),
            "version": envelope.payload.event_version(),
            "fact": envelope.payload,
            "metadata": envelope.metadata,
        })
    });
    Ok(json!({
        "id": id,
        "status": run.status,
        "outcome": run.outcome,
        "events": events.collect::<Vec<_>>(),
    }))
}

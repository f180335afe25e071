//! An unmodified `PostgresEventRepository` reads the streams that the ledger wrote, through the view
//! `cqrs_events`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore, SerializedEvent};
use cqrs_es::{
    Aggregate, AggregateContext, AggregateError, CqrsFramework, DomainEvent, EventStore,
};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

/// What `write-streams` prints, and the process that keeps the database.
struct Written {
    writer: Child,
    streams: Streams,
}

#[derive(Debug, Deserialize)]
struct Streams {
    url: String,
    workspaces: Vec<Workspace>,
}

#[derive(Debug, Deserialize)]
struct Workspace {
    workspace: String,
    runs: Vec<WrittenRun>,
}

#[derive(Debug, Deserialize)]
struct WrittenRun {
    id: String,
    status: String,
    outcome: String,
    events: Vec<WrittenEvent>,
}

#[derive(Debug, Deserialize)]
struct WrittenEvent {
    sequence: usize,
    r#type: String,
    version: String,
    fact: Value,
    metadata: Value,
}

impl Written {
    /// Has the ledger write its streams, in a program of the main workspace.
    fn by_the_ledger() -> Self {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--package", "runledger-tests", "--bin", "write-streams"]);
        cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        cargo.stdin(Stdio::piped()).stdout(Stdio::piped());
        // What cargo told this package of itself would make that cargo build anew.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        let mut writer = cargo.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(writer.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let streams = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Written { writer, streams }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // The end of its standard input ends it.
        drop(self.writer.stdin.take());
        self.writer.wait().unwrap();
    }
}

impl Streams {
    /// The repository of one workspace: the connection says which, the view does the rest.
    async fn repository(&self, workspace: &str) -> PostgresEventRepository {
        repository_over(self.pool(&[("runledger.workspace", workspace)]).await)
    }

    async fn pool(&self, settings: &[(&str, &str)]) -> PgPool {
        let options: PgConnectOptions = self.url.parse().unwrap();
        let options = options.options(settings.iter().copied());
        PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap()
    }
}

fn repository_over(pool: PgPool) -> PostgresEventRepository {
    PostgresEventRepository::new(pool).with_tables("cqrs_events", "no_snapshots")
}

/// A reader's own idea of a run, which knows no type of the ledger.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Run {
    status: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fact {
    occurred_at: i64,
    recorded_at: i64,
    r#type: String,
    data: Value,
}

impl DomainEvent for Fact {
    fn event_type(&self) -> String {
        self.r#type.clone()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("a command for a run that this reader has not read")]
struct NotRead;

impl Aggregate for Run {
    const TYPE: &'static str = "run";
    type Command = Fact;
    type Event = Fact;
    type Error = NotRead;
    type Services = ();

    async fn handle(&mut self, fact: Fact, (): &(), sink: &EventSink<Self>) -> Result<(), NotRead> {
        if self.status.is_empty() {
            return Err(NotRead);
        }
        sink.write(fact, self).await;
        Ok(())
    }

    fn apply(&mut self, fact: Fact) {
        let (status, outcome) = match (fact.r#type.as_str(), self.status.as_str()) {
            ("run.dispatched", "") => ("queued", "pending"),
            ("run.started", "queued") => ("running", "pending"),
            ("run.succeeded", _) => ("completed", "succeeded"),
            ("run.failed", _) => ("completed", fact.data["outcome"].as_str().unwrap()),
            _ => return,
        };
        (self.status, self.outcome) = (status.to_owned(), outcome.to_owned());
    }
}

fn assert_same(read: &SerializedEvent, written: &WrittenEvent) {
    assert_eq!(read.sequence, written.sequence);
    assert_eq!(read.event_type, written.r#type);
    assert_eq!(read.event_version, written.version);
    assert_eq!(read.metadata, written.metadata);
    // The payload is the whole body, and the fact is in it.
    for (member, value) in written.fact.as_object().unwrap() {
        assert_eq!(read.payload[member], *value, "{member} of {read:?}");
    }
    assert_eq!(read.payload["aggregate_id"], read.aggregate_id);
}

#[tokio::test]
async fn an_unmodified_repository_reads_the_streams_that_the_ledger_wrote() {
    let written = Written::by_the_ledger();
    let streams = &written.streams;
    assert_eq!(streams.workspaces.len(), 2);
    for Workspace { workspace, runs } in &streams.workspaces {
        let repository = streams.repository(workspace).await;
        let store = PersistedEventStore::<_, Run>::new_event_store(repository);
        let repository = streams.repository(workspace).await;
        for run in runs {
            let events = repository.get_events::<Run>(&run.id).await.unwrap();
            assert_eq!(events.len(), run.events.len());
            assert!(!events.is_empty());
            for (read, written) in events.iter().zip(&run.events) {
                assert_same(read, written);
            }
            let last = repository.get_last_events::<Run>(&run.id, 1).await.unwrap();
            assert_eq!(last, events[1..]);
            let mut loaded = store.load_aggregate(&run.id).await.unwrap();
            let state = loaded.aggregate();
            assert_eq!((&state.status, &state.outcome), (&run.status, &run.outcome));
        }
    }
}

#[tokio::test]
async fn a_replay_of_all_runs_reads_one_workspace_and_nothing_else() {
    let written = Written::by_the_ledger();
    for Workspace { workspace, runs } in &written.streams.workspaces {
        let repository = written.streams.repository(workspace).await;
        let mut replay = repository.stream_all_events::<Run>().await.unwrap();
        let mut positions = Vec::new();
        while let Some(event) = replay.next::<Run>(&[]).await {
            positions.push(event.unwrap().metadata["position"].clone());
        }
        let mut expected: Vec<String> = runs
            .iter()
            .flat_map(|run| &run.events)
            .map(|event| event.metadata["position"].as_str().unwrap().to_owned())
            .collect();
        positions.sort();
        expected.sort();
        assert_eq!(positions, expected);
    }
}

#[tokio::test]
async fn a_replay_of_one_run_reads_its_stream_in_order() {
    let written = Written::by_the_ledger();
    for Workspace { workspace, runs } in &written.streams.workspaces {
        let repository = written.streams.repository(workspace).await;
        for run in runs {
            let mut replay = repository.stream_events::<Run>(&run.id).await.unwrap();
            let mut state = Run::default();
            let mut sequences = Vec::new();
            while let Some(event) = replay.next::<Run>(&[]).await {
                let event = event.unwrap();
                sequences.push(event.sequence);
                state.apply(event.payload);
            }
            let expected: Vec<usize> = run.events.iter().map(|event| event.sequence).collect();
            assert_eq!(sequences, expected);
            assert_eq!((&state.status, &state.outcome), (&run.status, &run.outcome));
        }
    }
}

#[tokio::test]
async fn a_connection_that_names_no_workspace_is_refused() {
    let written = Written::by_the_ledger();
    let repository = repository_over(written.streams.pool(&[]).await);
    let run = &written.streams.workspaces[0].runs[0];
    let refused = repository.get_events::<Run>(&run.id).await.unwrap_err();
    assert!(refused.to_string().contains("runledger.workspace"), "{refused}");
}

#[tokio::test]
async fn nothing_can_be_written_past_the_ledger() {
    let written = Written::by_the_ledger();
    let Workspace { workspace, runs } = &written.streams.workspaces[0];
    let pool = written.streams.pool(&[("runledger.workspace", workspace)]).await;
    let repository = repository_over(pool.clone());
    let before = repository.get_events::<Run>(&runs[0].id).await.unwrap();

    let mut event = before[0].clone();
    event.sequence = 99;
    let refused = repository.persist::<Run>(&[event], None).await.unwrap_err();
    assert!(refused.to_string().contains("of view \"cqrs_events\""), "{refused}");

    let store = PersistedEventStore::new_event_store(repository_over(pool.clone()));
    let framework = CqrsFramework::<Run, _>::new(store, Vec::new(), ());
    let fact: Fact = serde_json::from_value(before[0].payload.clone()).unwrap();
    match framework.execute(&runs[0].id, fact.clone()).await.unwrap_err() {
        // It had read the run and decided, and is not told to try again.
        AggregateError::UnexpectedError(refused) => {
            assert!(refused.to_string().contains("of view \"cqrs_events\""), "{refused}");
        }
        other => panic!("{other:?}"),
    }
    let unknown = framework.execute("0199a0b2-0000-7000-8000-000000000000", fact).await;
    assert!(matches!(unknown, Err(AggregateError::UserError(NotRead))), "{unknown:?}");

    for statement in ["UPDATE cqrs_events SET sequence = sequence + 9", "DELETE FROM cqrs_events"] {
        let refused = sqlx::query(statement).execute(&pool).await.unwrap_err();
        assert!(refused.to_string().contains("events are immutable"), "{refused}");
    }
    let after = repository.get_events::<Run>(&runs[0].id).await.unwrap();
    assert_eq!(after, before);
}

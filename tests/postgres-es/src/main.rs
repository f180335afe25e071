//! The baseline of the append benchmark: `postgres-es`, unmodified, on tables of its own.
//!
//! Each caller executes commands of one event each, run after run: dispatched, started, succeeded.
//! This is `postgres-es` at its best: the framework has no query, a connection is not asked whether
//! it still lives before it is used, and a payload is one string. The tables are made anew, in the
//! layout that it documents, and stay for whoever wants to look.
//!
//! Prints one line of JSON. `cargo bench-ledger` runs it.

use std::io::Write as _;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::time::Instant;

/// Measures `execute` of postgres-es.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Bytes of an event's payload, give or take three.
    #[arg(long, default_value_t = 600)]
    bytes: usize,
    /// Callers at a time.
    #[arg(long, default_value_t = 8)]
    callers: u32,
    /// Connections that they share; one each by default.
    #[arg(long)]
    connections: Option<u32>,
    /// How long to measure, in seconds, after a tenth of that to warm up.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// An empty database to measure in.
    #[arg(long, env = "POSTGRES_ES_BASELINE_URL")]
    url: String,
}

const TABLES: &[&str] = &[
    "DROP TABLE IF EXISTS events, snapshots",
    "CREATE TABLE events (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        sequence bigint CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL,
        event_version text NOT NULL,
        payload json NOT NULL,
        metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    )",
    "CREATE TABLE snapshots (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        last_sequence bigint CHECK (last_sequence >= 0) NOT NULL,
        current_snapshot bigint CHECK (current_snapshot >= 0) NOT NULL,
        payload json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
    )",
];

/// A run in the smallest form that has the same life.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Run {
    events: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum RunEvent {
    #[serde(rename = "run.dispatched")]
    Dispatched { note: String },
    #[serde(rename = "run.started")]
    Started { note: String },
    #[serde(rename = "run.succeeded")]
    Succeeded { note: String },
}

impl DomainEvent for RunEvent {
    fn event_type(&self) -> String {
        match self {
            RunEvent::Dispatched { .. } => "run.dispatched",
            RunEvent::Started { .. } => "run.started",
            RunEvent::Succeeded { .. } => "run.succeeded",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// The run has ended.
#[derive(Debug, thiserror::Error)]
#[error("the run has ended")]
struct Ended;

/// The next step of a run, with a note of this length.
#[derive(Clone, Copy, Debug)]
struct GoOn(usize);

impl Aggregate for Run {
    const TYPE: &'static str = "run";
    type Command = GoOn;
    type Event = RunEvent;
    type Error = Ended;
    type Services = ();

    async fn handle(
        &mut self,
        GoOn(length): GoOn,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Ended> {
        let note = "x".repeat(length);
        let event = match self.events {
            0 => RunEvent::Dispatched { note },
            1 => RunEvent::Started { note },
            2 => RunEvent::Succeeded { note },
            _ => return Err(Ended),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, _: RunEvent) {
        self.events += 1;
    }
}

type Framework = CqrsFramework<Run, PersistedEventStore<PostgresEventRepository, Run>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let connections = arguments.connections.unwrap_or(arguments.callers);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        .test_before_acquire(false)
        .connect(&arguments.url)
        .await?;
    check_durability(&pool).await?;
    for statement in TABLES {
        sqlx::query(statement).execute(&pool).await?;
    }
    let warm_up = Duration::from_secs_f64(arguments.seconds / 10.0);
    measure(&pool, &arguments, warm_up).await?;
    let length = Duration::from_secs_f64(arguments.seconds);
    let started = Instant::now();
    let latencies = measure(&pool, &arguments, length).await?;
    let seconds = started.elapsed().as_secs_f64();
    let report = serde_json::json!({
        "callers": arguments.callers,
        "connections": connections,
        "seconds": seconds,
        "events": latencies.len(),
        "events_per_second": latencies.len() as f64 / seconds,
        "p50_us": percentile(&latencies, 50),
        "p99_us": percentile(&latencies, 99),
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

/// A figure counts only where an answer means that the event is on disk.
async fn check_durability(pool: &PgPool) -> anyhow::Result<()> {
    for setting in ["fsync", "synchronous_commit"] {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(pool).await?;
        ensure!(value == "on", "{setting} is {value} on this server; measure where it is on");
    }
    Ok(())
}

/// Runs all callers for `length`, and returns how long each command took, shortest first.
async fn measure(
    pool: &PgPool,
    arguments: &Arguments,
    length: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let empty = serde_json::to_vec(&RunEvent::Dispatched { note: String::new() })?.len();
    let note = arguments.bytes.saturating_sub(empty);
    let end = Instant::now() + length;
    let callers = (0..arguments.callers).map(|_| {
        let repository = PostgresEventRepository::new(pool.clone());
        let store = PersistedEventStore::new_event_store(repository);
        let framework = CqrsFramework::new(store, Vec::new(), ());
        tokio::spawn(call(framework, GoOn(note), end))
    });
    let mut latencies = Vec::new();
    for caller in futures::future::join_all(callers).await {
        latencies.extend(caller??);
    }
    latencies.sort_unstable();
    Ok(latencies)
}

async fn call(framework: Framework, go_on: GoOn, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    'runs: loop {
        let run = uuid::Uuid::now_v7().to_string();
        for _ in 0..3 {
            let started = Instant::now();
            if started >= end {
                break 'runs;
            }
            framework.execute(&run, go_on).await?;
            latencies.push(started.elapsed());
        }
    }
    Ok(latencies)
}

/// In microseconds; none of nothing.
fn percentile(sorted: &[Duration], percent: usize) -> Option<u128> {
    let place = (sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?);
    sorted.get(place).map(Duration::as_micros)
}

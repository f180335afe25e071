//! Whether an answer about something foreign takes as long as one about what is not there.
//!
//! Both are asked in turns over one connection, so that whatever slows the machine slows both. What is
//! compared is their median: a difference that somebody could use shows in it, and one of a few
//! percent is lost in the noise of any network.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use runledger_ledger::words::RunId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::http::Connection;
use super::report::{Aim, Report, Unit};
use super::server::Served;
use super::sizes::Sizes;
use super::stand::{Database, Stand};

/// Runs of the foreign workspace that are asked for in turns.
const RUNS: usize = 50;
/// Pairs of questions before those that count.
const FIRST: usize = 200;

/// What is asked, and how long both answers took in the median.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What is compared.
    pub name: &'static str,
    /// About what is foreign.
    pub foreign: Duration,
    /// About what is not there.
    pub missing: Duration,
}

impl Pair {
    /// How many times as long the slower one took.
    pub fn ratio(&self) -> f64 {
        let (foreign, missing) = (self.foreign.as_secs_f64(), self.missing.as_secs_f64());
        foreign.max(missing) / foreign.min(missing).max(f64::MIN_POSITIVE)
    }
}

/// Reports answers about what is foreign by those about what is not there.
///
/// # Errors
/// When a server does not start, or an answer is not the one that both must be.
pub async fn foreign_and_missing(
    stand: &Stand,
    database: Database,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    let name = |what: &str| format!("{}: a foreign {what}, and none, p50", database.name());
    for _ in 0..sizes.repetitions {
        let served = Served::start(stand, database).await?;
        for pair in measure(&served, sizes.reads * 2).await? {
            report.add(name(pair.name), Unit::Times, pair.ratio());
            report.aim(&name(pair.name), Aim::AtMost(1.05));
        }
        served.stop().await?.close().await?;
    }
    Ok(())
}

/// Asks `pairs` times each, with the token of a workspace that knows nothing of the other one.
///
/// # Errors
/// When an answer is not the one that both must be.
async fn measure(served: &Served, pairs: usize) -> anyhow::Result<Vec<Pair>> {
    let mut owner = Connection::open(&served.server).await?;
    let made =
        send(&mut owner, "/v1/workspaces", &json!({"name": "foreign", "reason": "for a test"}))
            .await?;
    ensure!(made.get("name").is_some(), "there is no foreign workspace: {made}");
    let new = json!({"name": "reader", "role": "auditor", "reason": "asks"});
    let made = send(&mut owner, "/v1/workspaces/main/tokens", &new).await?;
    let token = made["token"].as_str().context("a token")?.to_owned();
    let runs = dispatch(&mut owner, served).await?;
    let mut asks = Connection::open_as(&served.server.url, &token, "main").await?;
    let mut found = Vec::new();
    for name in ["run", "events of a run", "workspace", "follow-up"] {
        found.push(compare(&mut asks, served, name, &runs, pairs).await?);
    }
    Ok(found)
}

/// Runs of the foreign workspace.
async fn dispatch(owner: &mut Connection, served: &Served) -> anyhow::Result<Vec<RunId>> {
    let mut runs = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let run = served.site.ledger.new_run_id()?;
        let event = json!({"type": "run.dispatched", "run_id": run.0,
            "data": {"operation": "backup.create"}});
        send(owner, "/v1/workspaces/foreign/events", &event).await?;
        runs.push(run);
    }
    Ok(runs)
}

async fn send(connection: &mut Connection, path: &str, body: &Value) -> anyhow::Result<Value> {
    let sent = body.to_string();
    let (status, answer) = connection.post(path, "application/json", sent.as_bytes()).await?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    ensure!((200..300).contains(&status), "{path}: {status}: {text}");
    Ok(serde_json::from_slice(&answer)?)
}

async fn compare(
    asks: &mut Connection,
    served: &Served,
    name: &'static str,
    runs: &[RunId],
    pairs: usize,
) -> anyhow::Result<Pair> {
    let (mut foreign, mut missing) = (Vec::with_capacity(pairs), Vec::with_capacity(pairs));
    for (place, run) in (0..FIRST + pairs).zip(runs.iter().cycle()) {
        let unknown = served.site.ledger.new_run_id()?;
        let ours = |run: &RunId| match name {
            "events of a run" => format!("/v1/workspaces/main/runs/{}/events", run.0),
            "follow-up" => format!("/v1/workspaces/main/follow-ups/{}", run.0.simple()),
            _ => format!("/v1/workspaces/main/runs/{}", run.0),
        };
        let (there, nowhere) = match name {
            "workspace" => (
                format!("/v1/workspaces/foreign/runs/{}", run.0),
                format!("/v1/workspaces/missing/runs/{}", run.0),
            ),
            _ => (ours(run), ours(&unknown)),
        };
        // Now one, now the other is first.
        let (one, two) = match place % 2 {
            0 => {
                let one = timed(asks, &there).await?;
                (one, timed(asks, &nowhere).await?)
            }
            _ => {
                let two = timed(asks, &nowhere).await?;
                (timed(asks, &there).await?, two)
            }
        };
        if place >= FIRST {
            foreign.push(one);
            missing.push(two);
        }
    }
    Ok(Pair { name, foreign: median(foreign), missing: median(missing) })
}

async fn timed(asks: &mut Connection, path: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let (status, answer) = asks.ask(path).await?;
    let took = begun.elapsed();
    ensure!(status == 404, "{path}: {status}: {}", String::from_utf8_lossy(&answer));
    Ok(took)
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_is_slower_the_ratio_is_more_than_one() {
        let pair = |foreign, missing| Pair {
            name: "run",
            foreign: Duration::from_micros(foreign),
            missing: Duration::from_micros(missing),
        };
        assert_eq!(pair(200, 100).ratio(), 2.0);
        assert_eq!(pair(100, 200).ratio(), 2.0);
    }
}

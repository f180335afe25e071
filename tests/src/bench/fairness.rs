//! How long a quiet workspace waits for its acknowledgements while another one reports all it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::words::RunId;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::append::per_second;
use super::http::Connection;
use super::server::Served;
use super::traffic;
use crate::process::ServerProcess;

/// Connections of the quiet workspace, each of which rests after every answer.
const QUIET: usize = 4;
/// How long such a connection rests.
const REST: Duration = Duration::from_millis(5);
/// Connections of the noisy workspace that send lists, and events of each list.
const LISTS: (usize, usize) = (4, 1_000);
/// Connections of the noisy workspace that send single events.
const SINGLES: usize = 32;

/// A number that is in nothing else of an event; what is sent has another one in its place. The
/// noise is to cost the server something, and its client little.
const ANY: &str = "4242424242";

/// What was measured in one run.
#[derive(Clone, Debug)]
pub struct Fairness {
    /// Acknowledgements of the quiet workspace, alone, sorted.
    pub alone: Vec<Duration>,
    /// The same beside the noisy one, sorted.
    pub beside: Vec<Duration>,
    /// Events of the noisy workspace a second meanwhile.
    pub noise: f64,
}

/// A workspace of a server, and a token that reports to it.
#[derive(Clone, Debug)]
struct Reporter {
    url: String,
    workspace: &'static str,
    token: String,
}

impl Reporter {
    async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open_as(&self.url, &self.token, self.workspace).await
    }
}

/// Measures for `time` alone and for `time` beside the noise.
///
/// # Errors
/// When an event of the quiet workspace is not recorded.
pub async fn measure(served: &Served, time: Duration) -> anyhow::Result<Fairness> {
    let ledger = &served.site.ledger;
    let quiet = reporter(&served.server, "quiet").await?;
    let noisy = reporter(&served.server, "noisy").await?;
    // What is done once is done before.
    acknowledged(&quiet, ledger, time / 4).await?;
    let alone = acknowledged(&quiet, ledger, time).await?;
    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut noise = make_noise(&noisy, ledger, &over, &sent).await?;
    // The noise is as loud as it gets before it counts.
    tokio::time::sleep(time / 4).await;
    let (begun, before) = (Instant::now(), sent.load(Ordering::Relaxed));
    let beside = acknowledged(&quiet, ledger, time).await;
    let sent_meanwhile = sent.load(Ordering::Relaxed) - before;
    let elapsed = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = noise.join_next().await {
        ended??;
    }
    let noise = per_second(usize::try_from(sent_meanwhile)?, elapsed);
    Ok(Fairness { alone, beside: beside?, noise })
}

async fn reporter(server: &ServerProcess, workspace: &'static str) -> anyhow::Result<Reporter> {
    let mut connection = Connection::open(server).await?;
    let mut make = async |path: &str, body: Value| {
        let body = body.to_string();
        let (status, answer) = connection.post(path, "application/json", body.as_bytes()).await?;
        ensure!(status == 201, "{status}: {}", String::from_utf8_lossy(&answer));
        anyhow::Ok(serde_json::from_slice::<Value>(&answer)?)
    };
    make("/v1/workspaces", json!({"name": workspace, "reason": "for a test"})).await?;
    let new = json!({"name": workspace, "role": "reporter", "reason": "measures"});
    let made = make(&format!("/v1/workspaces/{workspace}/tokens"), new).await?;
    let token = made["token"].as_str().context("no token")?.to_owned();
    Ok(Reporter { url: server.url.clone(), workspace, token })
}

/// How long each acknowledgement of the quiet workspace took. Its client has a thread of its own, so
/// that it does not wait for that of the noisy one.
async fn acknowledged(
    reporter: &Reporter,
    ledger: &Ledger,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let (reporter, ledger) = (reporter.clone(), ledger.clone());
    let thread = move || -> anyhow::Result<Vec<Duration>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let mut tasks = JoinSet::new();
            let started = Instant::now();
            let numbers = Arc::new(AtomicU64::new(0));
            for _ in 0..QUIET {
                let mut connection = reporter.connect().await?;
                let (ledger, numbers) = (ledger.clone(), Arc::clone(&numbers));
                tasks.spawn(async move {
                    let mut taken = Vec::new();
                    while started.elapsed() < time {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        for line in traffic::lines(ledger.new_run_id()?, number) {
                            let asked = Instant::now();
                            let kind = "application/json";
                            let (status, answer) =
                                connection.post_events(kind, line.as_bytes()).await?;
                            taken.push(asked.elapsed());
                            ensure!(status == 201, "{}", String::from_utf8_lossy(&answer));
                            tokio::time::sleep(REST).await;
                        }
                    }
                    anyhow::Ok(taken)
                });
            }
            let mut all = Vec::new();
            while let Some(taken) = tasks.join_next().await {
                all.extend(taken??);
            }
            all.sort_unstable();
            anyhow::Ok(all)
        })
    };
    tokio::task::spawn_blocking(thread).await?
}

/// Lists and single events, each as soon as the last one is answered, until it is over. What is
/// refused is sent no more, and does not count.
async fn make_noise(
    reporter: &Reporter,
    ledger: &Ledger,
    over: &Arc<AtomicBool>,
    sent: &Arc<AtomicU64>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut tasks = JoinSet::new();
    let (numbers, any) = (Arc::new(AtomicU64::new(0)), ANY.parse()?);
    for connected in 0..LISTS.0 + SINGLES {
        let mut connection = reporter.connect().await?;
        let (ledger, numbers) = (ledger.clone(), Arc::clone(&numbers));
        let (over, sent) = (Arc::clone(over), Arc::clone(sent));
        let size = if connected < LISTS.0 { LISTS.1 } else { 1 };
        tasks.spawn(async move {
            let (mut lines, template) = (Vec::new(), traffic::lines(RunId(Uuid::nil()), any));
            let nobody = Uuid::nil().to_string();
            while !over.load(Ordering::Relaxed) {
                while lines.len() < size {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let (run, number) = (ledger.new_run_id()?.0.to_string(), number.to_string());
                    let of = |line: &String| line.replace(&nobody, &run).replace(ANY, &number);
                    lines.extend(template.iter().map(of));
                }
                let body = lines.drain(..size).collect::<Vec<_>>().join("\n");
                let kind = "application/x-ndjson";
                let (status, _) = connection.post_events(kind, body.as_bytes()).await?;
                if status < 300 {
                    sent.fetch_add(size as u64, Ordering::Relaxed);
                }
            }
            anyhow::Ok(())
        });
    }
    Ok(tasks)
}

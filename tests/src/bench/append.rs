//! Our commands, in process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use runledger_ledger::submission::{Answer, Submission};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::stand::Site;
use super::traffic;

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Events recorded a second.
    pub rate: f64,
    /// How long each request took, sorted.
    pub latencies: Vec<Duration>,
}

impl Load {
    /// Events in `elapsed`.
    pub fn new(events: usize, elapsed: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Load { rate: per_second(events, elapsed), latencies }
    }
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// The value that `percent` of `sorted` do not exceed.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
}

/// `callers` tasks, each of which submits one event, waits for its answer, and submits the next.
///
/// # Errors
/// When an event is not recorded.
pub async fn single(site: &Site, callers: u64, time: Duration) -> anyhow::Result<Load> {
    let numbers = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (ledger, workspace, numbers) =
            (site.ledger.clone(), site.workspace, Arc::clone(&numbers));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while started.elapsed() < time {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                for submission in traffic::life(ledger.new_run_id()?, number)? {
                    let asked = Instant::now();
                    let answers = ledger.submit(workspace, vec![submission], false).await?;
                    all_recorded(&answers)?;
                    latencies.push(asked.elapsed());
                }
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    Ok(Load::new(latencies.len(), started.elapsed(), latencies))
}

/// `requests` of many events each, from `callers` tasks.
///
/// # Errors
/// When an event is not recorded.
pub async fn batches(
    site: &Site,
    callers: usize,
    requests: Vec<Vec<Submission>>,
) -> anyhow::Result<Load> {
    let events = requests.iter().map(Vec::len).sum();
    let mut shares: Vec<Vec<Vec<Submission>>> = vec![Vec::new(); callers.max(1)];
    for (number, request) in requests.into_iter().enumerate() {
        shares[number % callers.max(1)].push(request);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for share in shares {
        let (ledger, workspace) = (site.ledger.clone(), site.workspace);
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(share.len());
            for request in share {
                let asked = Instant::now();
                let answers = ledger.submit(workspace, request, false).await?;
                all_recorded(&answers)?;
                latencies.push(asked.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    Ok(Load::new(events, started.elapsed(), latencies))
}

fn all_recorded(answers: &[Answer]) -> anyhow::Result<()> {
    match answers.iter().find(|answer| !matches!(answer, Answer::Recorded(_))) {
        Some(answer) => bail!("an event was not recorded: {answer:?}"),
        None => Ok(()),
    }
}

//! How far the read models are behind.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use runledger_ledger::submission::Answer;
use runledger_projections::Projections;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::stand::Site;
use super::traffic;

/// Events of one request.
const SIZE: u16 = 100;
/// How often it is looked how far the read models are.
const LOOK: Duration = Duration::from_millis(1);
/// What is behind by more than this does not keep up at all.
const LOST: Duration = Duration::from_secs(60);

/// Appends `rate` events a second, in requests of 100, for `time`, with followers running; how long
/// after each answer the read models had what it answered, sorted.
///
/// # Errors
/// When an event is not recorded, or not folded within a minute.
pub async fn lags(site: &Site, rate: f64, time: Duration) -> anyhow::Result<Vec<Duration>> {
    let projections = Projections::new(site.ledger.clone())?;
    projections.catch_up(site.workspace).await?;
    let (stop, stopped) = watch::channel(false);
    let following = {
        let projections = projections.clone();
        tokio::spawn(async move { projections.follow(stopped).await })
    };
    let (answered, answers) = mpsc::unbounded_channel();
    let seen = tokio::spawn(see(projections, site.workspace, answers));
    let pause = Duration::from_secs_f64(f64::from(SIZE) / rate);
    let count = time.as_micros() / pause.as_micros().max(1) + 1;
    let events = usize::try_from(count)? * usize::from(SIZE);
    let requests = traffic::requests(&site.ledger, events, SIZE.into(), 0)?;
    let mut tick = tokio::time::interval(pause);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for request in requests {
        tick.tick().await;
        let (ledger, workspace, answered) = (site.ledger.clone(), site.workspace, answered.clone());
        tokio::spawn(async move {
            let answers = ledger.submit(workspace, request, false).await;
            // The one who looks says what is wrong.
            let _ = answered.send((Instant::now(), answers.map(|mut all| all.pop())));
        });
    }
    drop(answered);
    let lags = seen.await?;
    // Nobody follows any more: that is as good.
    let _ = stop.send(true);
    following.await?;
    lags
}

type Answered = (Instant, Result<Option<Answer>, runledger_ledger::ledger::SubmitError>);

/// Looks how far the read models are, until all that was answered is there.
async fn see(
    projections: Projections,
    workspace: runledger_ledger::words::WorkspaceId,
    mut answers: mpsc::UnboundedReceiver<Answered>,
) -> anyhow::Result<Vec<Duration>> {
    let mut lags = Vec::new();
    let mut waiting: VecDeque<(Instant, u64)> = VecDeque::new();
    loop {
        while let Ok((at, answer)) = answers.try_recv() {
            match answer?.context("no answer")? {
                Answer::Recorded(receipt) => waiting.push_back((at, receipt.position)),
                other => bail!("not recorded: {other:?}"),
            }
        }
        if waiting.is_empty() && answers.is_closed() && answers.is_empty() {
            break;
        }
        let folded = projections.position(workspace).await?;
        let now = Instant::now();
        waiting.retain(|(at, position)| {
            let there = *position < folded;
            if there {
                lags.push(now.saturating_duration_since(*at));
            }
            !there
        });
        let oldest = waiting.front().map(|(at, _)| at.elapsed());
        ensure!(oldest.is_none_or(|lag| lag < LOST), "the read models do not keep up");
        tokio::time::sleep(LOOK).await;
    }
    lags.sort_unstable();
    Ok(lags)
}

//! The read models: how fast a log is folded.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runledger_projections::Projections;
use tokio::time::Instant;

use super::append::{self, per_second};
use super::stand::Site;
use super::traffic;

/// Events a second of deriving everything again beside what there is, until it could take over.
///
/// # Errors
/// When the database fails.
pub async fn rebuild(site: &Site) -> anyhow::Result<f64> {
    let projections = Projections::new(site.ledger.clone())?;
    projections.catch_up(site.workspace).await?;
    let caught_up: Mutex<Option<Duration>> = Mutex::new(None);
    let started = Instant::now();
    let events = projections
        .rebuild(site.workspace, &|progress| {
            if let (true, Ok(mut at)) = (progress.folded == progress.size, caught_up.lock()) {
                at.get_or_insert(started.elapsed());
            }
        })
        .await?;
    let elapsed = caught_up.into_inner().ok().flatten().context("it never caught up")?;
    Ok(per_second(usize::try_from(events)?, elapsed))
}

/// Fills the log at `site` with `events` more.
///
/// # Errors
/// When one is not recorded.
pub async fn fill(site: &Site, events: usize, first: u64) -> anyhow::Result<()> {
    const PIECE: usize = 30_000;
    let mut first = first;
    let mut left = events;
    while left > 0 {
        let piece = left.min(PIECE);
        let requests = traffic::requests(&site.ledger, piece, 3_000, first)?;
        let load = append::batches(site, 1, requests).await?;
        ensure!(load.rate > 0.0, "nothing was recorded");
        first += piece.div_ceil(traffic::SIGNALS) as u64;
        left -= piece;
    }
    Ok(())
}

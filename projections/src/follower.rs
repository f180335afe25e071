//! Followers: one per workspace, on one of the servers, as long as there is something to fold.
//!
//! A wake-up is only a wake-up. What there is to do, the databases say: a log that is longer than
//! its read models have come. So a missed wake-up costs time and nothing else.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runledger_ledger::pace::Pace;
use runledger_ledger::store::{Scope, Store, StoreError};
use runledger_ledger::time::Span;
use runledger_ledger::words::WorkspaceId;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::ahead::Ahead;
use crate::db::{self, on_store};
use crate::lease::{self, Held};
use crate::projections::{Inner, Lag};
use crate::projector::{self, Checkpoint, ProjectionError, VERSION, unsigned};
use crate::rebuild;
use crate::tables::Model;

/// Events folded in one transaction at most.
pub(crate) const PAGE: u32 = 5_000;
/// How long a page takes at least. What comes meanwhile is folded together: most of what a small
/// page costs does not depend on what is in it.
const PACE: Duration = Duration::from_millis(20);
/// At how many events of a log PostgreSQL is made to count its rows, so that it plans by what there
/// is. It does so by itself, but only every minute, and until then it takes every index that begins
/// with the workspace for as good as any other.
const COUNT_AT: [u64; 3] = [1_000, 30_000, 1_000_000];
/// How often a server looks for logs that have grown on another one.
const LOOK: Duration = Duration::from_millis(200);
/// How long a follower waits for more before it gives its workspace back.
const LINGER: Duration = Duration::from_secs(2);
/// How long a dead server's workspaces wait for another one. A reader that waits for what it wrote
/// is to have more patience than that.
pub const FOLLOWER_LEASE: Span = Span::from_secs(3);

const LAGS: &str = "SELECT h.workspace_id, h.size, coalesce(p.position, 0), p.failure \
     FROM heads AS h LEFT JOIN projections AS p ON p.workspace_id = h.workspace_id AND p.live";
const LAGGING: &str = "SELECT h.workspace_id, h.size, coalesce(p.position, 0), p.failure \
     FROM heads AS h LEFT JOIN projections AS p ON p.workspace_id = h.workspace_id AND p.live \
     WHERE (p.version < $1 OR coalesce(p.version, $1) = $1 \
            AND h.size > coalesce(p.position, 0) AND p.failure IS NULL) \
       AND NOT EXISTS (SELECT 1 FROM projections AS parked WHERE parked.failure IS NOT NULL \
           AND parked.workspace_id = h.workspace_id AND parked.version = $1)";

pub(crate) async fn lags(store: &Store) -> Result<Vec<Lag>, StoreError> {
    let rows: Vec<LagRow> = on_store!(store, Scope::Service, |connection| sqlx::query_as(LAGS)
        .fetch_all(connection)
        .await?);
    Ok(read_lags(rows))
}

/// The workspaces that have something to fold, or read models of an older projector, which are built
/// anew though nothing happens. One that this version has parked waits for a newer one.
async fn lagging(store: &Store) -> Result<Vec<Lag>, StoreError> {
    let rows: Vec<LagRow> = on_store!(store, Scope::Service, |connection| sqlx::query_as(LAGGING)
        .bind(VERSION)
        .fetch_all(connection)
        .await?);
    Ok(read_lags(rows))
}

type LagRow = (Uuid, i64, i64, Option<String>);

fn read_lags(rows: Vec<LagRow>) -> Vec<Lag> {
    rows.into_iter()
        .map(|(workspace, size, position, failure)| Lag {
            workspace: WorkspaceId(workspace),
            size: unsigned(size),
            position: unsigned(position),
            failure,
        })
        .collect()
}

/// The workspaces that this server follows at the moment, and how to wake their followers.
#[derive(Default)]
struct Following(Mutex<std::collections::HashMap<WorkspaceId, Arc<Notify>>>);

impl Following {
    fn lock(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::HashMap<WorkspaceId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, workspace: WorkspaceId) -> bool {
        self.lock().get(&workspace).inspect(|follower| follower.notify_one()).is_some()
    }
}

/// Done when the server ends. It gives back the lock on that word, so that followers can be
/// spawned on any thread.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to say it.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

pub(crate) async fn follow(inner: Arc<Inner>, mut shutdown: watch::Receiver<bool>) {
    let following = Arc::new(Following::default());
    let mut grew = inner.ledger.grew();
    let mut followers = JoinSet::new();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let woken = tokio::select! {
            () = stopped(&mut shutdown) => break,
            grown = grew.recv() => match grown {
                Ok(grown) => HashSet::from([grown.workspace]),
                Err(broadcast::error::RecvError::Lagged(_)) => HashSet::new(),
                Err(broadcast::error::RecvError::Closed) => break,
            },
            _ = look.tick() => match lagging(inner.ledger.writing_store()).await {
                Ok(lagging) => lagging.into_iter().map(|lag| lag.workspace).collect(),
                Err(error) => {
                    tracing::warn!(%error, "followers cannot look for work");
                    continue;
                }
            },
            Some(_) = followers.join_next() => continue,
        };
        for workspace in woken {
            if !following.wake(workspace) {
                let wake = Arc::new(Notify::new());
                following.lock().insert(workspace, Arc::clone(&wake));
                let (inner, following) = (Arc::clone(&inner), Arc::clone(&following));
                let shutdown = shutdown.clone();
                followers.spawn(async move {
                    follow_one(&inner, workspace, &wake, shutdown).await;
                    following.lock().remove(&workspace);
                });
            }
        }
    }
    while followers.join_next().await.is_some() {}
}

/// Follows one workspace while it has the lease and there is something to fold now and then.
async fn follow_one(
    inner: &Inner,
    workspace: WorkspaceId,
    wake: &Notify,
    shutdown: watch::Receiver<bool>,
) {
    // The lease is left to the newer server that knows what to do with it.
    if let Ok(Some(live)) = inner.live(workspace).await
        && live.version > VERSION
    {
        return;
    }
    let lease = format!("projector/{workspace}");
    let work = Box::pin(fold(inner, workspace, wake, shutdown));
    match lease::hold(inner, (&lease, FOLLOWER_LEASE), inner.process, work).await {
        Ok(Held::Done(()) | Held::ByAnother) => {}
        Ok(Held::Lost) => tracing::warn!(%workspace, "the lease of a follower was lost"),
        Err(error) => tracing::warn!(%workspace, %error, "no lease could be taken"),
    }
}

/// Folds what comes, until nothing comes any more or it cannot go on.
async fn fold(
    inner: &Inner,
    workspace: WorkspaceId,
    wake: &Notify,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut ahead = Ahead::new(inner.ledger.writing_store(), workspace, PAGE);
    let mut pace = Pace::default();
    while !*shutdown.borrow() {
        let begun = Instant::now();
        let shared = inner.ledger.is_shared(workspace);
        ahead.set_page(if shared { u32::try_from(pace.most()).unwrap_or(PAGE) } else { PAGE });
        match step(inner, &mut ahead).await {
            Ok(Step::Folded { events }) => {
                // Over SQLite the others wait for the same writer.
                let rest = match shared {
                    true => {
                        let loud = inner.ledger.is_loud(workspace);
                        tokio::time::sleep(pace.learn(events, begun.elapsed(), loud))
                    }
                    false => tokio::time::sleep_until(begun + PACE),
                };
                tokio::select! {
                    () = rest => {}
                    () = stopped(&mut shutdown) => {}
                }
            }
            Ok(Step::Nothing) => {
                let more = tokio::select! {
                    () = wake.notified() => true,
                    () = tokio::time::sleep(LINGER) => false,
                    () = stopped(&mut shutdown) => false,
                };
                if !more {
                    return;
                }
            }
            Err(ProjectionError::NotAlone) => tracing::debug!(%workspace, "late follower"),
            Err(error @ (ProjectionError::Newer { .. } | ProjectionError::Rebuilding)) => {
                return tracing::debug!(%workspace, %error, "read models are left to others");
            }
            Err(ProjectionError::Parked { position, problem }) => {
                return tracing::error!(%workspace, position, problem, "read models are parked");
            }
            Err(error) => {
                tracing::warn!(%workspace, %error, "read models could not be advanced");
                return tokio::time::sleep(LOOK).await;
            }
        }
    }
}

enum Step {
    /// A page of so many events.
    Folded {
        events: usize,
    },
    Nothing,
}

/// Folds the next page of the live read models; makes them if there are none.
async fn step(inner: &Inner, ahead: &mut Ahead) -> Result<Step, ProjectionError> {
    let (store, workspace) = (inner.ledger.writing_store(), ahead.workspace);
    let checkpoint = match inner.live_on(store, workspace).await? {
        Some(live) => live,
        None => {
            Checkpoint::create(store, Model { workspace, generation: 1 }, true).await?;
            return Ok(Step::Folded { events: 0 });
        }
    };
    if checkpoint.version > VERSION {
        return Err(ProjectionError::Newer { version: checkpoint.version });
    }
    if checkpoint.version < VERSION {
        // A new version is built beside the old one, which answers until then.
        rebuild::rebuild(inner, workspace, &|_| {}).await?;
        return Ok(Step::Folded { events: 0 });
    }
    let advanced = advance(ahead, store, &checkpoint, u64::MAX).await?;
    if advanced.position == checkpoint.position {
        return Ok(Step::Nothing);
    }
    inner.moved.note(workspace, advanced.position);
    let events = advanced.position.saturating_sub(checkpoint.position);
    Ok(Step::Folded { events: usize::try_from(events).unwrap_or(usize::MAX) })
}

/// Folds one page of the log that begins at the checkpoint, up to position `to`, into the read
/// models in `target`. An event that cannot be folded parks them.
pub(crate) async fn advance(
    ahead: &mut Ahead,
    target: &Store,
    checkpoint: &Checkpoint,
    to: u64,
) -> Result<Checkpoint, ProjectionError> {
    let folded = match ahead.page(checkpoint.position, to).await {
        Ok(events) if events.is_empty() => return Ok(checkpoint.clone()),
        Ok(events) => projector::project(target, checkpoint, events).await,
        Err(error) => Err(error),
    };
    if let Ok(next) = &folded {
        let crossed = |size| checkpoint.position < size && next.position >= size;
        if COUNT_AT.into_iter().any(crossed) {
            db::count_rows_meanwhile(target);
        }
    }
    if let Err(ProjectionError::Parked { problem, .. }) = &folded {
        checkpoint.park(target, problem).await?;
    }
    folded
}

pub(crate) async fn catch_up(
    inner: &Inner,
    workspace: WorkspaceId,
) -> Result<u64, ProjectionError> {
    let mut ahead = Ahead::new(inner.ledger.writing_store(), workspace, PAGE);
    loop {
        match step(inner, &mut ahead).await {
            Ok(Step::Folded { .. }) | Err(ProjectionError::NotAlone) => {}
            Ok(Step::Nothing) => {
                let live = inner.live(workspace).await?;
                return live.map(|live| live.position).ok_or(ProjectionError::NoModel);
            }
            Err(error) => return Err(error),
        }
    }
}

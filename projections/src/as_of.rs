//! The past: what would have been answered at a moment, derived from the events up to there by the
//! same projector into a small database of its own, and asked with the same queries.
//!
//! The first question about a moment costs a replay of the log up to it; the next ones, and later
//! moments of the same workspace, go on from what is there. The databases are scratch files that
//! are gone with the process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runledger_ledger::store::{Store, StoreError, StoreUrl};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::ahead::Ahead;
use crate::follower;
use crate::projector::{Checkpoint, ProjectionError};
use crate::tables::Model;

/// Which moment a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// Now, from the live read models.
    Now,
    /// When the event at this position was recorded, and nothing after it counts.
    Position(u64),
    /// This time, with all that was recorded then or before.
    Moment(Moment),
}

/// Past states that are kept, the latest used last.
const KEPT: usize = 6;
/// Logs up to this size are replayed in memory.
const IN_MEMORY: u64 = 20_000;
/// How long a question waits for a replay; the replay goes on, and asking again finds it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Replays at a time; others wait for their turn.
const AT_ONCE: usize = 2;

/// Past states of workspaces, kept for the questions to come.
#[derive(Debug)]
pub(crate) struct Past {
    states: Mutex<Vec<Arc<State>>>,
    turns: Arc<Semaphore>,
}

impl Default for Past {
    fn default() -> Self {
        Past { states: Mutex::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

#[derive(Debug)]
struct State {
    workspace: WorkspaceId,
    /// Events that it holds once it is replayed.
    size: u64,
    replayed: tokio::sync::OnceCell<Replayed>,
}

#[derive(Clone, Debug)]
pub(crate) struct Replayed {
    pub(crate) store: Store,
    pub(crate) checkpoint: Checkpoint,
    /// The file lives as long as anybody reads it.
    pub(crate) file: Option<Arc<TempDir>>,
}

impl Past {
    /// The state of `workspace` after the first `size` events of its log. None: it takes longer
    /// than a request may; ask again.
    pub(crate) async fn at(
        &self,
        source: &Store,
        workspace: WorkspaceId,
        size: u64,
    ) -> Result<Option<Replayed>, ProjectionError> {
        let state = self.state(workspace, size);
        let (source, turns) = (source.clone(), Arc::clone(&self.turns));
        // The replay is a task of its own: it goes on when the one who asked has given up.
        let replay = tokio::spawn(async move {
            let replayed = state.replayed.get_or_try_init(async || {
                // The semaphore is never closed.
                let _turn = turns.acquire().await;
                replay(&source, workspace, size).await
            });
            replayed.await.cloned()
        });
        match tokio::time::timeout(PATIENCE, replay).await {
            Ok(Ok(replayed)) => replayed.map(Some),
            Ok(Err(failed)) => {
                Err(StoreError::Corrupt(format!("a replay failed: {failed}")).into())
            }
            Err(_) => Ok(None),
        }
    }

    fn state(&self, workspace: WorkspaceId, size: u64) -> Arc<State> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |state: &Arc<State>| state.workspace == workspace && state.size == size;
        let state = match states.iter().position(wanted) {
            Some(place) => states.remove(place),
            None => {
                if states.len() >= KEPT {
                    states.remove(0);
                }
                Arc::new(State { workspace, size, replayed: tokio::sync::OnceCell::new() })
            }
        };
        states.push(Arc::clone(&state));
        state
    }
}

/// Derives the read models of `workspace` from the first `size` events of its log in `source`.
pub(crate) async fn replay(
    source: &Store,
    workspace: WorkspaceId,
    size: u64,
) -> Result<Replayed, ProjectionError> {
    let Replayed { store, mut checkpoint, file } = begin(workspace, size).await?;
    let mut ahead = Ahead::new(source, workspace, follower::PAGE);
    while checkpoint.position < size {
        let next = follower::advance(&mut ahead, &store, &checkpoint, size).await?;
        if next.position == checkpoint.position {
            let problem = format!("the log ends before position {size}");
            return Err(ProjectionError::Parked { position: next.position, problem });
        }
        checkpoint = next;
    }
    Ok(Replayed { store, checkpoint, file })
}

/// Read models of nothing yet, with room for those of `size` events.
pub(crate) async fn begin(workspace: WorkspaceId, size: u64) -> Result<Replayed, ProjectionError> {
    let file = if size <= IN_MEMORY { None } else { Some(Arc::new(scratch()?)) };
    let url = match &file {
        None => StoreUrl::SqliteMemory,
        Some(dir) => StoreUrl::SqliteScratch(dir.path().join("as-of.sqlite")),
    };
    let store = Store::open(&url).await?;
    let model = Model { workspace, generation: 1 };
    let checkpoint = Checkpoint::create(&store, model, true).await?;
    Ok(Replayed { store, checkpoint, file })
}

fn scratch() -> Result<TempDir, StoreError> {
    tempfile::Builder::new()
        .prefix("runledger-as-of-")
        .tempdir()
        .map_err(|error| StoreError::Unavailable(error.into()))
}

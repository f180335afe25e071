//! The past: what would have been answered at a moment, derived from the events up to there by the
//! same projector into a small database of its own, and asked with the same queries.
//!
//! The first question about a moment costs a replay of the log up to it, from the nearest moment
//! before it whose state is kept, or else from the beginning; the next ones about the same moment,
//! as long as its state is kept, cost none. Few replays are pending at a time: who asks
//! for one more is told to ask again. The databases are scratch files that are gone with the process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runledger_ledger::store::{Store, StoreError, StoreUrl};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

use crate::ahead::Ahead;
use crate::db;
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
/// The name of a scratch database in its directory.
const DATABASE: &str = "as-of.sqlite";
/// How long a question waits for a replay; the replay goes on, and asking again finds it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Replays at a time; others wait for their turn.
const AT_ONCE: usize = 2;
/// Replays that go on or wait for their turn, at most.
const PENDING: usize = 4;

/// Past states of workspaces, kept for the questions to come.
#[derive(Debug)]
pub(crate) struct Past {
    states: Mutex<Vec<State>>,
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
    /// When something was last erased before it was derived.
    erased: Option<Moment>,
    /// Nothing while it is being replayed. Closed without anything if that failed.
    replayed: watch::Receiver<Option<Replayed>>,
}

impl State {
    fn is_pending(&self) -> bool {
        self.replayed.borrow().is_none()
    }

    fn has_failed(&self) -> bool {
        self.replayed.has_changed().is_err() && self.is_pending()
    }
}

/// What there is of a moment that somebody asks about.
enum Found {
    /// It is kept, or somebody replays it.
    Kept(watch::Receiver<Option<Replayed>>),
    /// Nothing: who asks has to replay it and say so here. Beside it, the nearest state before it.
    Missing(watch::Sender<Option<Replayed>>, Option<Box<Replayed>>),
    /// Nothing, and too many replays are pending.
    Full,
}

#[derive(Clone, Debug)]
pub(crate) struct Replayed {
    pub(crate) store: Store,
    pub(crate) checkpoint: Checkpoint,
    /// The file lives as long as anybody reads it.
    pub(crate) file: Arc<TempDir>,
}

impl Past {
    /// The state of `workspace` after the first `size` events of its log. None: it takes longer
    /// than a request may, or too many replays are pending; ask again.
    pub(crate) async fn at(
        &self,
        source: &Store,
        workspace: WorkspaceId,
        size: u64,
    ) -> Result<Option<Replayed>, ProjectionError> {
        let replayed = tokio::time::timeout(PATIENCE, self.replayed(source, workspace, size));
        replayed.await.unwrap_or(Ok(None))
    }

    async fn replayed(
        &self,
        source: &Store,
        workspace: WorkspaceId,
        size: u64,
    ) -> Result<Option<Replayed>, ProjectionError> {
        let erased = source.last_erasure(workspace).await?;
        loop {
            let (done, base) = match self.find(workspace, size, erased) {
                Found::Full => return Ok(None),
                Found::Kept(mut kept) => {
                    let replayed = kept.wait_for(Option::is_some).await;
                    // Its replay failed: this one is told why if it fails again.
                    let Ok(replayed) = replayed else { continue };
                    return Ok(replayed.clone());
                }
                Found::Missing(done, base) => (done, base.map(|base| *base)),
            };
            let (source, turns) = (source.clone(), Arc::clone(&self.turns));
            // A task of its own: it goes on when the one who asked has given up.
            let replay = tokio::spawn(async move {
                // The semaphore is never closed.
                let _turn = turns.acquire().await;
                let replayed = replay_from(base, &source, workspace, size).await?;
                done.send_replace(Some(replayed.clone()));
                Ok(Some(replayed))
            });
            let failed = |error| StoreError::Corrupt(format!("a replay failed: {error}"));
            return replay.await.map_err(failed)?;
        }
    }

    fn find(&self, workspace: WorkspaceId, size: u64, erased: Option<Moment>) -> Found {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        // What was derived before something was erased may still hold it.
        let is_old = |state: &State| state.workspace == workspace && state.erased < erased;
        states.retain(|state| !state.has_failed() && !is_old(state));
        let wanted = |state: &State| state.workspace == workspace && state.size == size;
        if let Some(place) = states.iter().position(wanted) {
            let state = states.remove(place);
            let kept = state.replayed.clone();
            states.push(state);
            return Found::Kept(kept);
        }
        if states.iter().filter(|state| state.is_pending()).count() >= PENDING {
            return Found::Full;
        }
        let before = |state: &&State| state.workspace == workspace && state.size < size;
        let done = |state: &State| Some((state.size, state.replayed.borrow().clone()?));
        let bases = states.iter().filter(before).filter_map(done);
        let base = bases.max_by_key(|(size, _)| *size).map(|(_, replayed)| Box::new(replayed));
        // One that is being replayed is never dropped: somebody will ask for it again.
        if states.len() >= KEPT
            && let Some(oldest) = states.iter().position(|state| !state.is_pending())
        {
            states.remove(oldest);
        }
        let (done, replayed) = watch::channel(None);
        states.push(State { workspace, size, erased, replayed });
        Found::Missing(done, base)
    }
}

/// Derives the read models of `workspace` from the first `size` events of its log in `source`. If
/// there is a `base`, from a copy of it and the events behind it: it is the same, because the state
/// after some events is all that the next event is folded into.
async fn replay_from(
    base: Option<Replayed>,
    source: &Store,
    workspace: WorkspaceId,
    size: u64,
) -> Result<Replayed, ProjectionError> {
    let begun = match &base {
        Some(base) => copy_of(base).await?,
        None => begin(workspace).await?,
    };
    drop(base);
    let Replayed { store, mut checkpoint, file } = begun;
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

/// Read models of nothing yet. They lie in a file: memory is gone with its one connection, which a
/// request that is given up may take along.
pub(crate) async fn begin(workspace: WorkspaceId) -> Result<Replayed, ProjectionError> {
    let file = Arc::new(scratch()?);
    let url = StoreUrl::SqliteScratch(file.path().join(DATABASE));
    let store = Store::open(&url).await?;
    let model = Model { workspace, generation: 1 };
    let checkpoint = Checkpoint::create(&store, model, true).await?;
    Ok(Replayed { store, checkpoint, file })
}

/// A copy of a state, to go on from.
async fn copy_of(base: &Replayed) -> Result<Replayed, ProjectionError> {
    let file = Arc::new(scratch()?);
    let path = file.path().join(DATABASE);
    db::copy_into(&base.store, &path).await?;
    let store = Store::open(&StoreUrl::SqliteScratch(path)).await?;
    Ok(Replayed { store, checkpoint: base.checkpoint.clone(), file })
}

fn scratch() -> Result<TempDir, StoreError> {
    tempfile::Builder::new()
        .prefix("runledger-as-of-")
        .tempdir()
        .map_err(|error| StoreError::Unavailable(error.into()))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::nil());

    fn missing(past: &Past, size: u64) -> watch::Sender<Option<Replayed>> {
        match past.find(WORKSPACE, size, None) {
            Found::Missing(done, _) => done,
            Found::Kept(_) => panic!("the state after {size} events is there"),
            Found::Full => panic!("there is no room for the state after {size} events"),
        }
    }

    #[tokio::test]
    async fn what_was_derived_before_an_erasure_is_dropped() {
        let past = Past::default();
        let Ok(replayed) = begin(WORKSPACE).await else { panic!("no scratch database") };
        missing(&past, 3).send_replace(Some(replayed));
        assert!(matches!(past.find(WORKSPACE, 3, None), Found::Kept(_)));
        let later = Some(Moment::from_micros(1));
        assert!(matches!(past.find(WORKSPACE, 4, later), Found::Missing(_, None)));
        assert!(matches!(past.find(WORKSPACE, 3, later), Found::Missing(..)));
    }

    #[tokio::test]
    async fn few_replays_are_pending_and_none_is_dropped_before_it_is_done() {
        let past = Past::default();
        let mut pending: Vec<_> = (1..=4).map(|size| missing(&past, size)).collect();
        assert!(matches!(past.find(WORKSPACE, 5, None), Found::Full));
        // Who asks about the same moment waits for the same replay.
        assert!(matches!(past.find(WORKSPACE, 1, None), Found::Kept(_)));
        // A replay that failed makes room, and is tried again by the next who asks.
        drop(pending.pop());
        pending.push(missing(&past, 4));
        assert!(matches!(past.find(WORKSPACE, 5, None), Found::Full));
        // Done ones make room as well, and only they go when there are too many.
        let Ok(replayed) = begin(WORKSPACE).await else { panic!("no scratch database") };
        pending.pop().into_iter().for_each(|done| drop(done.send_replace(Some(replayed.clone()))));
        for size in 5..=20 {
            missing(&past, size).send_replace(Some(replayed.clone()));
        }
        for size in 1..=3 {
            assert!(matches!(past.find(WORKSPACE, size, None), Found::Kept(_)), "{size}");
        }
        assert!(past.states.lock().is_ok_and(|states| states.len() == KEPT));
    }
}

//! The handle on the read models: who follows the logs, and where readers begin.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use runledger_ledger::clock::NoEntropy;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreError};
use runledger_ledger::words::WorkspaceId;
use tokio::sync::watch;
use uuid::Uuid;

use crate::as_of::Past;
use crate::follower;
use crate::moved::Moved;
use crate::projector::{Checkpoint, ProjectionError};

/// The read models of all workspaces of a ledger. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Projections {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) ledger: Ledger,
    /// This process among several over one database.
    pub(crate) process: Uuid,
    /// How many names this process has taken leases under, beside its own.
    holders: AtomicU64,
    /// How far the live read models are known to have come, for readers that wait.
    pub(crate) moved: Moved,
    /// States of workspaces as of moments in the past.
    pub(crate) past: Past,
    /// The live checkpoints as this process knows them; each is checked against its row.
    pub(crate) known: Mutex<HashMap<WorkspaceId, Checkpoint>>,
    /// Which adapter judges which operation type on this server, also beside what catalogs name.
    owners: OnceLock<Owners>,
}

/// Adapters by the operation type that they judge.
pub(crate) type Owners = Arc<BTreeMap<String, String>>;

impl Projections {
    /// The read models over `ledger`. Nothing follows a log until [`Projections::follow`] runs.
    pub fn new(ledger: Ledger) -> Result<Self, NoEntropy> {
        let process = ledger.process_id()?;
        let (past, moved) = (Past::default(), Moved::default());
        let (known, holders) = (Mutex::default(), AtomicU64::new(0));
        let owners = OnceLock::new();
        let inner = Inner { ledger, process, holders, moved, past, known, owners };
        Ok(Projections { inner: Arc::new(inner) })
    }

    /// The ledger beneath.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Says once which adapter judges which operation type: runs of these can be asked about, also
    /// where the catalog in force names no adapter.
    pub fn judged_by(&self, owners: impl IntoIterator<Item = (String, String)>) {
        // A server has one list of adapters as long as it runs.
        let _ = self.inner.owners.set(Arc::new(owners.into_iter().collect()));
    }

    /// The name of this process among several over one database: its leases are taken under it.
    pub fn process(&self) -> Uuid {
        self.inner.process
    }

    pub(crate) fn store(&self) -> &Store {
        self.inner.ledger.store()
    }

    /// Follows the logs of all workspaces until `shutdown` is true. Several servers may run it
    /// over one database: a lease gives each workspace to one of them at a time, and a dead one's
    /// are taken over when its leases end.
    pub async fn follow(&self, shutdown: watch::Receiver<bool>) {
        follower::follow(Arc::clone(&self.inner), shutdown).await;
    }

    /// Folds what the log of `workspace` holds now, here and at once. For programs that have no
    /// follower running: scenarios, the command line, tests.
    pub async fn catch_up(&self, workspace: WorkspaceId) -> Result<u64, ProjectionError> {
        follower::catch_up(&self.inner, workspace).await
    }

    /// Waits until the live read models hold the event at `position`, at most for `timeout`.
    /// False if they do not yet.
    pub async fn wait(
        &self,
        workspace: WorkspaceId,
        position: u64,
        timeout: Duration,
    ) -> Result<bool, ProjectionError> {
        let folded = move || async move {
            match self.position(workspace).await {
                Err(ProjectionError::NoModel) => Ok(0),
                position => position,
            }
        };
        let there = self.inner.moved.wait(workspace, position, folded);
        match tokio::time::timeout(timeout, there).await {
            Ok(result) => result.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// How many events the live read models of a workspace hold.
    pub async fn position(&self, workspace: WorkspaceId) -> Result<u64, ProjectionError> {
        self.inner.live(workspace).await?.map(|live| live.position).ok_or(ProjectionError::NoModel)
    }

    /// Where the read models of every workspace stand against its log.
    pub async fn lags(&self) -> Result<Vec<Lag>, StoreError> {
        follower::lags(self.store()).await
    }
}

impl Inner {
    /// Which adapter judges which operation type here.
    pub(crate) fn owners(&self) -> Owners {
        self.owners.get().cloned().unwrap_or_default()
    }

    /// A name to take a lease under that nobody else has, in this process either.
    pub(crate) fn holder(&self) -> Uuid {
        let number = self.holders.fetch_add(1, Ordering::Relaxed) + 1;
        Uuid::from_u128(self.process.as_u128().wrapping_add(u128::from(number)))
    }

    /// The live checkpoint of a workspace, as its row says now.
    pub(crate) async fn live(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Option<Checkpoint>, ProjectionError> {
        self.live_on(self.ledger.store(), workspace).await
    }

    /// The same, over connections of the caller's choice.
    pub(crate) async fn live_on(
        &self,
        store: &Store,
        workspace: WorkspaceId,
    ) -> Result<Option<Checkpoint>, ProjectionError> {
        let known = self.lock_known().get(&workspace).cloned();
        let live = Checkpoint::live(store, workspace, known.as_ref()).await?;
        if let Some(live) = &live {
            self.lock_known().insert(workspace, live.clone());
        }
        Ok(live)
    }

    fn lock_known(&self) -> std::sync::MutexGuard<'_, HashMap<WorkspaceId, Checkpoint>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the live read models of a workspace stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// Events in its log.
    pub size: u64,
    /// Events folded.
    pub position: u64,
    /// Why it does not go on, if it is parked.
    pub failure: Option<String>,
}

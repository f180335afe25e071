//! Simulations that this server makes, in the background: history under another catalog (specs/0020).
//!
//! A simulation costs two replays of the log. It is no part of a request: one goes on at a time, a few
//! may wait, and what came out is kept in memory for a while. Nothing of the ledger is changed, and
//! nothing is recorded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_projections::{AsOf, Simulation, ViewError};
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::schema::simulation::SimulationShape;

/// Simulations at a time.
const AT_ONCE: usize = 1;
/// Simulations that go on or wait for their turn, on the whole server.
const PENDING: usize = 4;
/// Simulations of which it is known how they ended; the oldest give way.
const KEPT: usize = 16;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The simulations of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Simulations {
    known: Arc<Mutex<BTreeMap<Uuid, Simulated>>>,
    turns: Arc<Semaphore>,
}

impl Default for Simulations {
    fn default() -> Self {
        Simulations { known: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// What is to be simulated.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of which log.
    pub workspace: WorkspaceId,
    /// The moment at which runs are judged.
    pub as_of: AsOf,
    /// Under which catalog.
    pub catalog: Arc<Catalog>,
    /// Runs that are listed, at most.
    pub limit: usize,
}

/// One simulation, and how far it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Simulated {
    /// Its id.
    pub id: Uuid,
    #[serde(skip)]
    workspace: WorkspaceId,
    /// How far it is.
    pub state: SimulationState,
    /// Who asked for it.
    pub requester: String,
    /// When it was asked for (RFC 3339).
    pub asked_at: String,
    #[serde(skip)]
    asked: Moment,
    /// When it ended (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// SHA-256 of the other catalog, in hexadecimal.
    pub catalog_sha256: String,
    /// Events that have been replayed so far.
    pub replayed: u64,
    /// Events that are to be replayed, once that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// Why there is no result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What came out, of one that is done. Lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SimulationShape>)]
    pub result: Option<Arc<Simulation>>,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SimulationState {
    /// Others are before it.
    Waiting,
    /// The log is being replayed.
    Running,
    /// `result` has what came out.
    Done,
    /// There is no result; `problem` says why.
    Failed,
}

impl SimulationState {
    const fn is_pending(self) -> bool {
        matches!(self, SimulationState::Waiting | SimulationState::Running)
    }
}

/// Too many are pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{PENDING} simulations are pending on this server already; ask again when one is done")]
pub struct Full;

impl Simulations {
    /// Begins one.
    ///
    /// # Errors
    /// If too many are pending.
    pub fn ask(
        &self,
        app: &App,
        id: Uuid,
        requester: String,
        wanted: Wanted,
    ) -> Result<Simulated, Full> {
        let now = app.ledger().now();
        let simulated = Simulated {
            id,
            workspace: wanted.workspace,
            state: SimulationState::Waiting,
            requester,
            asked_at: now.to_string(),
            asked: now,
            ended_at: None,
            catalog_sha256: hex::encode(wanted.catalog.sha256()),
            replayed: 0,
            of: None,
            problem: None,
            result: None,
        };
        {
            let mut known = self.lock();
            if known.values().filter(|one| one.state.is_pending()).count() >= PENDING {
                return Err(Full);
            }
            let ended = known.values().filter(|one| !one.state.is_pending());
            let oldest = ended.min_by_key(|one| (one.asked, one.id)).map(|one| one.id);
            if let Some(oldest) = oldest.filter(|_| known.len() >= KEPT) {
                known.remove(&oldest);
            }
            known.insert(id, simulated.clone());
        }
        let (simulations, app) = (self.clone(), app.clone());
        tokio::spawn(async move { simulations.make(&app, id, wanted).await });
        Ok(simulated)
    }

    async fn make(&self, app: &App, id: Uuid, wanted: Wanted) {
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        self.change(id, |one| one.state = SimulationState::Running);
        let (replayed, of) = (AtomicU64::new(0), AtomicU64::new(0));
        let progress = |done, all| {
            replayed.store(done, Ordering::Relaxed);
            of.store(all, Ordering::Relaxed);
            self.change(id, |one| (one.replayed, one.of) = (done, Some(all)));
        };
        let Wanted { workspace, as_of, catalog, limit } = &wanted;
        let projections = app.projections();
        let made = projections.simulate(*workspace, *as_of, catalog, *limit, &progress);
        let made = tokio::time::timeout(LONGEST, made).await;
        let now = app.ledger().now().to_string();
        self.change(id, |one| {
            one.ended_at = Some(now);
            match made {
                Ok(Ok(result)) => {
                    (one.state, one.result) = (SimulationState::Done, Some(Arc::new(result)));
                }
                Ok(Err(error)) => {
                    (one.state, one.problem) = (SimulationState::Failed, Some(why(id, &error)));
                }
                Err(_) => {
                    let (done, all) = (replayed.into_inner(), of.into_inner());
                    let problem = format!(
                        "it was given up after {} minutes, {done} of {all} events replayed; name an \
                         earlier moment (`as_of`), or run `runledger replay` on the database",
                        LONGEST.as_secs() / 60
                    );
                    (one.state, one.problem) = (SimulationState::Failed, Some(problem));
                }
            }
        });
    }

    /// One simulation of a workspace, if it is known here.
    pub fn find(&self, workspace: WorkspaceId, id: Uuid) -> Option<Simulated> {
        self.lock().get(&id).filter(|one| one.workspace == workspace).cloned()
    }

    /// The simulations of a workspace, the latest first, without what came out of them.
    pub fn list(&self, workspace: WorkspaceId) -> Vec<Simulated> {
        let known = self.lock();
        let own = known.values().filter(|one| one.workspace == workspace);
        let mut all: Vec<Simulated> =
            own.map(|one| Simulated { result: None, ..one.clone() }).collect();
        all.sort_by_key(|one| std::cmp::Reverse((one.asked, one.id)));
        all
    }

    /// Forgets what came out before something was erased: it may still hold it.
    pub fn forget(&self, workspace: WorkspaceId, erased: Moment) {
        self.lock().retain(|_, one| one.workspace != workspace || one.asked > erased);
    }

    fn change(&self, id: Uuid, change: impl FnOnce(&mut Simulated)) {
        if let Some(one) = self.lock().get_mut(&id) {
            change(one);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Simulated>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of a failure. What a database said of it stands in the log of the server alone.
fn why(id: Uuid, error: &ViewError) -> String {
    match error {
        ViewError::Projection(_) => {
            tracing::error!(simulation = %id, ?error, "no simulation was made");
            format!("the log could not be replayed; the server's log tells more (simulation {id})")
        }
        error => error.to_string(),
    }
}

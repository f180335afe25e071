//! What every request can reach: the ledger, and what the service keeps beside it.

use std::sync::Arc;

use runledger_ledger::clock::NoEntropy;
use runledger_ledger::ledger::Ledger;
use runledger_projections::Projections;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::metrics::Metrics;
use crate::token::TokenHash;
use crate::workspaces::{WorkspaceName, Workspaces};

/// Bytes of request bodies that are worked on at a time; more is an overload. With it the memory
/// under load has an end, whatever the number of connections.
const BODY_BYTES: usize = 32 * 1024 * 1024;

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    projections: Projections,
    administrator: TokenHash,
    default_workspace: WorkspaceName,
    workspaces: Workspaces,
    metrics: Metrics,
    body_room: Arc<Semaphore>,
}

impl App {
    /// A service over `projections` and their ledger that takes orders from whoever has the administrator's token.
    pub fn new(
        projections: Projections,
        administrator: TokenHash,
        default_workspace: WorkspaceName,
    ) -> Self {
        let inner = Inner {
            projections,
            administrator,
            default_workspace,
            workspaces: Workspaces::default(),
            metrics: Metrics::default(),
            body_room: Arc::new(Semaphore::new(BODY_BYTES)),
        };
        App { inner: Arc::new(inner) }
    }

    /// The one write seam.
    pub fn ledger(&self) -> &Ledger {
        self.inner.projections.ledger()
    }

    /// The read models.
    pub fn projections(&self) -> &Projections {
        &self.inner.projections
    }

    /// What the administrator's token is known by.
    pub fn administrator(&self) -> &TokenHash {
        &self.inner.administrator
    }

    /// The workspace that a request without one means.
    pub fn default_workspace(&self) -> &WorkspaceName {
        &self.inner.default_workspace
    }

    /// Which workspace each name means.
    pub fn workspaces(&self) -> &Workspaces {
        &self.inner.workspaces
    }

    /// What the server counts of itself.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Room for request bodies, in bytes.
    pub(crate) fn body_room(&self) -> &Arc<Semaphore> {
        &self.inner.body_room
    }

    /// An opaque id under which the log tells of a failure.
    pub(crate) fn failure_id(&self) -> Result<Uuid, NoEntropy> {
        self.ledger().process_id()
    }
}

//! Erasures that this server carries out, in the background (specs/0024).
//!
//! The log orders them, the bodies give way, and then everything that was derived from them is
//! derived again. Each step can be taken twice: who begins again goes on where it stopped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runledger_ledger::erasure::{self, ErasureError};
use runledger_ledger::event::Actor;
use runledger_ledger::store::StoreError;
use runledger_ledger::words::WorkspaceId;
use runledger_projections::ProjectionError;
use uuid::Uuid;

use crate::app::App;

/// The erasures of a server. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Erasing {
    /// Those that are being carried out, and why the others were not.
    known: Arc<Mutex<BTreeMap<Uuid, Stand>>>,
}

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stand {
    /// Whether it is being carried out here.
    pub running: bool,
    /// Why it stopped, in a stable word where there is one, and in words for people.
    pub problem: Option<(&'static str, String)>,
}

/// Why an erasure stopped.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Erasure(#[from] ErasureError),
    #[error("what was derived could not be derived again")]
    Derived(#[from] ProjectionError),
    #[error("the database failed")]
    Store(#[from] StoreError),
}

impl Erasing {
    /// How an erasure goes here.
    pub fn stand(&self, id: Uuid) -> Stand {
        self.lock().get(&id).cloned().unwrap_or_default()
    }

    /// Begins to carry an erasure out, or goes on with it. False if that is going on already.
    pub fn begin(&self, app: &App, workspace: WorkspaceId, id: Uuid, actor: Actor) -> bool {
        {
            let mut known = self.lock();
            if known.get(&id).is_some_and(|stand| stand.running) {
                return false;
            }
            known.insert(id, Stand { running: true, problem: None });
        }
        let (erasing, app) = (self.clone(), app.clone());
        // A task of its own: it goes on when whoever asked has gone.
        tokio::spawn(async move {
            let done = carry_out(&app, workspace, id, &actor).await;
            let problem = done.err().map(|stopped| {
                let code = match &stopped {
                    Stopped::Erasure(error) => error.code(),
                    Stopped::Derived(ProjectionError::Rebuilding) => Some("rebuilding"),
                    Stopped::Derived(_) | Stopped::Store(_) => None,
                };
                if code.is_none() {
                    let error = &stopped as &dyn std::error::Error;
                    tracing::error!(%workspace, erasure = %id, error, "an erasure stopped");
                }
                (code.unwrap_or("internal"), stopped.to_string())
            });
            erasing.lock().insert(id, Stand { running: false, problem });
        });
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Stand>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn carry_out(
    app: &App,
    workspace: WorkspaceId,
    id: Uuid,
    actor: &Actor,
) -> Result<(), Stopped> {
    let (ledger, store) = (app.ledger(), app.ledger().store());
    let ordered = erasure::order(ledger, workspace, id, actor).await?;
    if ordered.completed_at.is_some() {
        return Ok(());
    }
    if !erasure::is_emptied(store, workspace, &ordered).await? {
        erasure::empty(store, workspace, &ordered).await?;
    }
    app.projections().rebuild(workspace, &|_| {}).await?;
    store.sweep_after_erasure(workspace).await?;
    erasure::complete(ledger, workspace, id, actor).await?;
    if let (Some(exports), Some(erased)) = (app.exports(), store.last_erasure(workspace).await?) {
        exports.forget(workspace, erased);
    }
    Ok(())
}

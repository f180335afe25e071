//! Events as they would have been recorded, had another catalog been in force all the time.

use std::sync::Arc;

use runledger_ledger::catalog::{Catalog, Lifecycle};
use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::run::{Dispatched, RunEvent};
use runledger_ledger::words::Name;
use runledger_ledger::workspace::WorkspaceEvent;

use crate::projector::{self, ProjectionError};

/// Rewrites a log, event by event in its order, as if under another catalog.
pub(super) struct Under {
    other: Arc<Catalog>,
    /// The catalog that was in force where the log has come to.
    then: Arc<Catalog>,
}

impl Under {
    pub(super) fn new(other: Arc<Catalog>) -> Self {
        Under { other, then: Catalog::built_in() }
    }

    /// A catalog that was published is the other one; a dispatch has its name and windows from it.
    /// Whatever else was recorded stays what it was.
    pub(super) fn rewrite(&mut self, recorded: &Recorded) -> Result<Recorded, ProjectionError> {
        let mut recorded = recorded.clone();
        match &mut recorded.fact.event {
            AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(catalog)) => {
                self.then = projector::parse(&catalog.content)?;
                catalog.version = self.other.version();
                catalog.sha256 = hex::encode(self.other.sha256());
                self.other.text().clone_into(&mut catalog.content);
            }
            AnyEvent::Run(RunEvent::Dispatched(dispatched)) => self.dispatched(dispatched),
            _ => {}
        }
        Ok(recorded)
    }

    fn dispatched(&self, dispatched: &mut Dispatched) {
        let name = dispatched.operation.clone();
        let (then, now) = (self.then.operation(name.as_str()), self.other.operation(name.as_str()));
        // Without windows although the catalog had some, it was told of as endless, and stays that.
        let endless =
            dispatched.lifecycle == Lifecycle::default() && then.lifecycle != Lifecycle::default();
        if !endless {
            dispatched.lifecycle = now.lifecycle;
        }
        if let Ok(canonical) = Name::new(now.name) {
            dispatched.operation = canonical;
        }
    }
}

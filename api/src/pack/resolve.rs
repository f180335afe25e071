//! An operation that is asked for by another name of it.

use anyhow::Context;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::event::{AnyEvent, Recorded, Stream};
use runledger_ledger::run::RunEvent;
use runledger_ledger::store::Store;
use runledger_ledger::words::WorkspaceId;
use runledger_ledger::workspace::WorkspaceEvent;

use super::{PAGE, Scope};

impl Scope {
    /// The same scope with the canonical name of its operation, as the catalog says that was in force
    /// when the log had `size` events. A name by which runs are recorded is meant as it stands: it may
    /// have become an alias since.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(super) async fn resolved(
        mut self,
        store: &Store,
        workspace: WorkspaceId,
        size: u64,
    ) -> anyhow::Result<Scope> {
        let Some(operation) = self.operation.take() else { return Ok(self) };
        let catalog = in_force(store, workspace, size).await?;
        let canonical =
            catalog.as_ref().map_or(operation.as_str(), |one| one.canonical(&operation));
        let alias = canonical != operation && !has_runs(store, workspace, size, &operation).await?;
        self.operation = Some(if alias { canonical.to_owned() } else { operation });
        Ok(self)
    }
}

/// The last catalog among the first `size` events of a log.
async fn in_force(
    store: &Store,
    workspace: WorkspaceId,
    size: u64,
) -> anyhow::Result<Option<Catalog>> {
    let (mut after, mut catalog) = (0, None);
    loop {
        let page = store.stream(workspace, Stream::workspace(workspace), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(catalog) };
        after = Recorded::decode(&last.body)?.sequence;
        for stored in page.iter().filter(|stored| stored.position < size) {
            let event = Recorded::decode(&stored.body)?;
            if let AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(new)) = event.fact.event {
                catalog = Some(Catalog::parse(&new.content)?);
            }
        }
    }
}

/// Whether runs are recorded by exactly this name.
async fn has_runs(
    store: &Store,
    workspace: WorkspaceId,
    size: u64,
    operation: &str,
) -> anyhow::Result<bool> {
    let mut next = 0;
    while next < size {
        let page = store.log(workspace, next, size, PAGE).await?;
        next = page.last().context("the log ends too early; verify it first")?.position + 1;
        for stored in &page {
            let event = Recorded::decode(&stored.body)?;
            if let AnyEvent::Run(RunEvent::Dispatched(dispatched)) = &event.fact.event
                && dispatched.operation.as_str() == operation
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

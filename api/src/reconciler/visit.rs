//! One visit to one workspace: whoever has its lease follows its log, and judges what is due there.

use std::time::Duration;

use futures::FutureExt;
use runledger_adapters::adapter::Operations;
use runledger_adapters::lifecycle;
use runledger_adapters::registry::Registry;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::WorkspaceId;
use runledger_projections::{Agenda, Candidate, Selection};
use tokio::sync::watch;
use tracing::Instrument as _;

use super::page::Judged;
use super::{LEASE, ReconcileError, Reconciler};

/// How long it waits for read models that lag behind their log.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages of one adapter that are judged in one visit; others come first then.
pub(super) const MOST_PAGES: usize = 20;

/// An adapter that has operation types of its own and can be heard.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) operations: Vec<String>,
    /// Whether it comes for its runs; then nobody asks it.
    pub(super) remote: bool,
    pub(super) revisit: Span,
}

/// The owners of a registry.
pub(super) fn owners(registry: &Registry) -> Vec<Owner> {
    let working = registry.adapters().iter().filter(|adapter| adapter.idle().is_none());
    let owner = |adapter: &runledger_adapters::registry::Registered| {
        let Operations::Named(operations) = &adapter.manifest.operations else { return None };
        if operations.is_empty() {
            return None;
        }
        Some(Owner {
            name: adapter.manifest.name.clone(),
            operations: operations.iter().cloned().collect(),
            remote: adapter.is_remote(),
            revisit: adapter.manifest.revisit,
        })
    };
    working.filter_map(owner).collect()
}

/// Where and as of when runs are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) workspace: WorkspaceId,
    pub(super) name: &'a str,
    /// The time of the question. Not later than the look began: until then, all blind time is
    /// recorded.
    pub(super) now: Moment,
}

impl Reconciler {
    /// Does what there is to do in a workspace, if no other server is at it. Returns when something
    /// falls due there next, as far as that is known.
    pub(super) async fn visit(
        &self,
        agenda: &Agenda,
        now: Moment,
        stop: &watch::Receiver<bool>,
    ) -> Result<Option<Moment>, ReconcileError> {
        let Agenda { workspace, overdue_at, wake_at, observe_at, .. } = *agenda;
        let due = [overdue_at, wake_at, observe_at].into_iter().flatten().min();
        let news = self.has_news(agenda, now) || self.seeks_subjects(agenda, now);
        if due.is_none_or(|due| due > now) && !news {
            return Ok(due);
        }
        let projections = &self.inner.projections;
        let (store, process) = (projections.ledger().store(), projections.process());
        let lease = lease_name(workspace);
        if !store.take_lease(&lease, process, self.now(), LEASE).await? {
            return Ok(due.filter(|due| *due > now));
        }
        let place = Place { workspace, name: &agenda.name, now };
        let mut stop = stop.clone();
        // What was decided is recorded or not when it is dropped; the next look finds out.
        let done = tokio::select! {
            done = self.work(place, agenda) => done,
            _ = stop.wait_for(|stop| *stop) => Ok(false),
        };
        store.drop_lease(&lease, process).await?;
        Ok(done?.then_some(now))
    }

    /// Returns whether there is more to do at once.
    async fn work(&self, place: Place<'_>, agenda: &Agenda) -> Result<bool, ReconcileError> {
        // A blind time that is in the log and not yet in the read models would make a run look due.
        if !self.is_caught_up(place.workspace).await? {
            return Ok(false);
        }
        let more = self.follow(place, agenda).await?;
        self.seek_subjects(place, agenda).await?;
        // Each adapter by itself, so that a source that hangs holds up no other's runs.
        let owners: Vec<Option<&Owner>> =
            std::iter::once(None).chain(self.judging().map(Some)).collect();
        let pages = owners.into_iter().map(|owner| self.pages(place, owner).boxed());
        let looks = self.inner.observers.iter().map(|one| self.observe(place, one).boxed());
        let mut more = more;
        for done in futures::future::join_all(pages.chain(looks)).await {
            more |= done?;
        }
        Ok(more)
    }

    /// Judges what is due for one owner, or what has none and is to be given up. Returns whether
    /// there is more.
    async fn pages(&self, place: Place<'_>, owner: Option<&Owner>) -> Result<bool, ReconcileError> {
        for _ in 0..MOST_PAGES {
            let candidates = self.due(place, owner).await?;
            if candidates.is_empty() {
                return Ok(false);
            }
            let full = candidates.len() >= usize::try_from(self.inner.page).unwrap_or(usize::MAX);
            let traced = trace(place, owner, candidates.len());
            let page = self.page(place, owner, candidates).instrument(traced.clone()).await?;
            let Judged { recorded, moved } = page;
            traced.record("recorded", recorded).record("moved", moved);
            if !full && recorded == 0 && moved == 0 {
                return Ok(false);
            }
            if !self.is_still_ours(place.workspace).await?
                || !self.is_caught_up(place.workspace).await?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A page of what is due: first what is to be given up, then what has a wake.
    async fn due(
        &self,
        place: Place<'_>,
        owner: Option<&Owner>,
    ) -> Result<Vec<Candidate>, ReconcileError> {
        let Place { workspace, now, .. } = place;
        let (projections, page) = (&self.inner.projections, self.inner.page);
        let Some(owner) = owner else {
            let owned: Vec<String> =
                self.judging().flat_map(|owner| owner.operations.clone()).collect();
            let rest = Selection::Others(&owned);
            return Ok(projections.to_give_up(workspace, rest, now, page).await?);
        };
        let own = Selection::These(&owner.operations);
        let mut due = projections.to_give_up(workspace, own, now, page).await?;
        let woken = projections.due(workspace, &owner.name, now, page).await?;
        let known: std::collections::HashSet<_> = due.iter().map(|found| found.run_id).collect();
        due.extend(woken.into_iter().filter(|found| !known.contains(&found.run_id)));
        Ok(due)
    }

    /// Whether the read models have folded all that is recorded, or will have soon.
    pub(super) async fn is_caught_up(
        &self,
        workspace: WorkspaceId,
    ) -> Result<bool, ReconcileError> {
        let projections = &self.inner.projections;
        let head = projections.ledger().store().head(workspace).await?;
        match head.and_then(|head| head.size().checked_sub(1)) {
            Some(position) => Ok(projections.wait(workspace, position, PATIENCE).await?),
            None => Ok(true),
        }
    }

    pub(super) async fn is_still_ours(
        &self,
        workspace: WorkspaceId,
    ) -> Result<bool, ReconcileError> {
        let projections = &self.inner.projections;
        let (store, process) = (projections.ledger().store(), projections.process());
        Ok(store.take_lease(&lease_name(workspace), process, self.now(), LEASE).await?)
    }
}

/// What a trace shows of a page of runs, beside how long it took. The entries of its runs are in it.
fn trace(place: Place<'_>, owner: Option<&Owner>, runs: usize) -> tracing::Span {
    let adapter = owner.map_or(lifecycle::ADAPTER, |owner| &owner.name);
    tracing::info_span!(
        "judge",
        workspace = %place.workspace,
        adapter,
        runs,
        recorded = tracing::field::Empty,
        moved = tracing::field::Empty,
    )
}

fn lease_name(workspace: WorkspaceId) -> String {
    format!("reconciler/{workspace}")
}

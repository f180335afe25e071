//! The reconciler: asks adapters what domain truth says of runs, and hands their decisions to the
//! ledger (DESIGN section 9).
//!
//! What there is to do, the database says: wakes, runs to be given up, events that were not looked
//! at yet, and rounds over what is active, so that a lost wake costs time and nothing else. A
//! decision that no longer fits its run is refused by the ledger and made again. So several servers
//! may run it over one database, and a crash in between costs time, too.

mod follow;
mod give_up;
mod observe;
mod page;
mod preview;
mod remote;
mod schedule;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use runledger_adapters::registry::Registry;
use runledger_ledger::clock::Entropy;
use runledger_ledger::ledger::SubmitError;
use runledger_ledger::store::StoreError;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::WordError;
use runledger_projections::{ProjectionError, Projections};
use tokio::sync::{Notify, broadcast, watch};

pub use give_up::act;
pub use preview::{AdapterWord, AskError, Asked, Preview, Sight};
pub use remote::{Claimed, Posted, RemoteError};

use crate::listening;
use observe::Observer;
use visit::Owner;

/// Runs that are judged in one go: one gathering of an adapter.
const PAGE: u32 = 500;
/// Workspaces that are visited side by side, so that a slow source of one holds up no other.
const VISITS: usize = 4;
/// How long it sleeps at most: what falls due is noticed this much later.
const PACE: Duration = Duration::from_secs(1);
/// How long it lets events of a busy log gather before it looks at them.
const GATHER: Duration = Duration::from_millis(200);
/// How long a dead server's workspaces wait for another one. Longer than a page may take: an
/// adapter's time limit twice, and what comes before and after.
pub const LEASE: Span = Span::from_secs(60);

/// Why nothing was reconciled. The next look tries again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// What is due could not be read, or not be written down.
    #[error("the runs that are due could not be read or noted")]
    Projection(#[from] ProjectionError),
    /// The database failed.
    #[error("the database failed while runs were reconciled")]
    Store(#[from] StoreError),
    /// A decision could not be recorded.
    #[error("a decision could not be recorded")]
    Submit(#[from] SubmitError),
    /// A decision could not be put into words.
    #[error("a decision could not be put into words")]
    Word(#[from] WordError),
}

/// Asks the adapters of a registry about the runs of all workspaces. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Reconciler {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    projections: Projections,
    registry: Registry,
    /// The adapters that have operation types of their own and can be heard.
    owners: Vec<Owner>,
    /// The adapters that look at subjects by themselves.
    observers: Vec<Observer>,
    /// For the jitter of retries.
    entropy: Entropy,
    page: u32,
    /// Somebody asked for a look.
    asked: Notify,
}

impl Reconciler {
    /// A reconciler over these read models and their ledger.
    pub fn new(projections: Projections, registry: Registry, entropy: Entropy) -> Self {
        let owners = visit::owners(&registry);
        let judged = owners.iter().flat_map(|owner| {
            owner.operations.iter().map(|operation| (operation.clone(), owner.name.clone()))
        });
        projections.judged_by(judged);
        let observers = observe::observers(&registry);
        let asked = Notify::new();
        let inner = Inner { projections, registry, owners, observers, entropy, page: PAGE, asked };
        Reconciler { inner: Arc::new(inner) }
    }

    /// The same, judging so many runs in one go.
    #[must_use]
    pub fn with_page(&self, page: u32) -> Self {
        let Inner { projections, registry, owners, observers, entropy, .. } = &*self.inner;
        let inner = Inner {
            projections: projections.clone(),
            registry: registry.clone(),
            owners: owners.clone(),
            observers: observers.clone(),
            entropy: entropy.clone(),
            page,
            asked: Notify::new(),
        };
        Reconciler { inner: Arc::new(inner) }
    }

    /// The adapters.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Reconciles what falls due in every workspace until `shutdown` is true. Several servers may
    /// run it over one database: a lease gives each workspace to one of them at a time.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let mut grew = self.inner.projections.ledger().grew();
        let mut failing = false;
        while !*shutdown.borrow() {
            let sleep = match self.look_until(&shutdown).await {
                Ok(next) => {
                    failing = false;
                    next.map_or(PACE, |due| pause(due, self.now()))
                }
                Err(error) => {
                    if !failing {
                        let cause = std::error::Error::source(&error).map(ToString::to_string);
                        tracing::error!(%error, cause, "runs that are due were not reconciled");
                        failing = true;
                    }
                    PACE
                }
            };
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = self.inner.asked.notified() => {}
                () = self.news(&mut grew) => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Reconciles what is due now in every workspace that no other server is at. Returns when
    /// something falls due next, as far as that is known.
    ///
    /// While the ledger could not listen, silence meant nothing. So it does nothing until the
    /// listening mark is fresh, and then nothing before the read models have folded what was
    /// recorded until then.
    pub async fn look(&self) -> Result<Option<Moment>, ReconcileError> {
        let (_going_on, stop) = watch::channel(false);
        self.look_until(&stop).await
    }

    async fn look_until(
        &self,
        stop: &watch::Receiver<bool>,
    ) -> Result<Option<Moment>, ReconcileError> {
        let (projections, now) = (&self.inner.projections, self.now());
        // Blind time is recorded before the mark moves on: with a fresh mark, all of it is in the
        // logs.
        let mark = projections.ledger().store().listened_at().await?;
        if mark.is_none_or(|at| now.since(at) > listening::GAP) {
            return Ok(None);
        }
        let names: Vec<String> = self.judging().map(|owner| owner.name.clone()).collect();
        let observers: Vec<String> =
            self.inner.observers.iter().map(|observer| observer.name.clone()).collect();
        let agenda = projections.agenda(&names, &observers).await?;
        let visits: Vec<_> =
            agenda.iter().map(|agenda| self.visit(agenda, now, stop).boxed()).collect();
        let visits: Vec<_> = futures::stream::iter(visits).buffer_unordered(VISITS).collect().await;
        let mut next: Option<Moment> = None;
        for soonest in visits {
            next = [next, soonest?].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// Done when a log has grown and some time for more has passed; never if no adapter cares.
    async fn news(&self, grew: &mut broadcast::Receiver<runledger_ledger::ledger::LogGrew>) {
        if self.inner.owners.is_empty() {
            return std::future::pending().await;
        }
        // One that lags has missed wake-ups and nothing else.
        let _ = grew.recv().await;
        tokio::time::sleep(GATHER).await;
        *grew = grew.resubscribe();
    }

    /// The owners that are asked here. Remote ones come for their runs.
    fn judging(&self) -> impl Iterator<Item = &Owner> {
        self.inner.owners.iter().filter(|owner| !owner.remote)
    }

    fn now(&self) -> Moment {
        self.inner.projections.ledger().now()
    }
}

/// How long to sleep until `due`, at most [`PACE`], at least long enough to let others work.
fn pause(due: Moment, now: Moment) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(20);
    let micros = u64::try_from(due.since(now).micros()).unwrap_or_default();
    Duration::from_micros(micros).clamp(SHORTEST, PACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_until_something_is_due_but_never_long_and_never_not_at_all() {
        let now = Moment::from_micros(1_000_000);
        let due = |micros| pause(now.plus(Span::from_micros(micros)), now);
        assert_eq!(due(400_000), Duration::from_millis(400));
        assert_eq!(due(90_000_000), PACE);
        assert_eq!(due(0), Duration::from_millis(20));
    }
}

//! The reconciler: asks what adapters have to say of runs, and hands their decisions to the ledger.
//!
//! It takes no input. What there is to do, the read models say, and a decision that no longer fits
//! its run is refused by the ledger and made again. So several servers may run it over one
//! database, and a crash in between costs time and nothing else.

use std::time::Duration;

use runledger_adapters::{evidence, lifecycle};
use runledger_ledger::ledger::SubmitError;
use runledger_ledger::run::RunCommand;
use runledger_ledger::store::StoreError;
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{WordError, WorkspaceId};
use runledger_projections::{ProjectionError, Projections};
use tokio::sync::watch;

use crate::listening;

/// Runs that are looked at in one go.
const PAGE: u32 = 500;
/// How long it sleeps at most: a run that falls due is noticed this much later.
const PACE: Duration = Duration::from_secs(1);
/// How long a dead server's workspaces wait for another one.
const LEASE: Span = Span::from_secs(30);
/// How long it waits for read models that lag behind their log.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why nothing was reconciled. The next look tries again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// What is due could not be read.
    #[error("the runs that are due could not be read")]
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

/// Gives up the runs of a workspace that are due at `now`, as far as its read models know of them,
/// and returns how many decisions were recorded. A run that has moved since is left to the next
/// look.
///
/// Called again once the read models have folded what it recorded, it records nothing.
pub async fn act(
    projections: &Projections,
    workspace: WorkspaceId,
    now: Moment,
) -> Result<usize, ReconcileError> {
    Ok(give_up(projections, workspace, now).await?.len())
}

/// Reconciles what falls due in every workspace until `shutdown` is true. Several servers may run it
/// over one database: a lease gives each workspace to one of them at a time.
pub async fn run(projections: Projections, mut shutdown: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        let sleep = match look(&projections).await {
            Ok(next) => {
                failing = false;
                next.map_or(PACE, |due| pause(due, projections.ledger().now()))
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
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Reconciles what is due now in every workspace that no other server is at. Returns when something
/// falls due next, as far as that is known.
///
/// While the ledger could not listen, silence meant nothing. So it does nothing until the listening
/// mark is fresh, and then nothing before the read models have folded what was recorded until then.
pub async fn look(projections: &Projections) -> Result<Option<Moment>, ReconcileError> {
    let (store, process) = (projections.ledger().store(), projections.process());
    let now = projections.ledger().now();
    // Blind time is recorded before the mark moves on: with a fresh mark, all of it is in the logs.
    if store.listened_at().await?.is_none_or(|at| now.since(at) > listening::GAP) {
        return Ok(None);
    }
    let mut next = None;
    for (workspace, due) in projections.next_overdue_of_all().await? {
        if due > now {
            next = next.map_or(Some(due), |soonest: Moment| Some(soonest.min(due)));
            continue;
        }
        let lease = format!("reconciler/{workspace}");
        if store.take_lease(&lease, process, now, LEASE).await? {
            let done = reconcile(projections, workspace, now).await;
            store.drop_lease(&lease, process).await?;
            done?;
        }
    }
    Ok(next)
}

/// Acts on one workspace until nothing is due there any more.
async fn reconcile(
    projections: &Projections,
    workspace: WorkspaceId,
    now: Moment,
) -> Result<(), ReconcileError> {
    // A blind time that is in the log and not yet in the read models would make a run look due.
    let head = projections.ledger().store().head(workspace).await?;
    let mut wanted = head.and_then(|head| head.size().checked_sub(1));
    while let Some(position) = wanted {
        if !projections.wait(workspace, position, PATIENCE).await? {
            return Ok(());
        }
        let recorded = give_up(projections, workspace, now).await?;
        if !recorded.is_empty() {
            let count = recorded.len();
            tracing::info!(%workspace, count, "silent runs were given up");
        }
        wanted = recorded.into_iter().max();
    }
    Ok(())
}

/// Gives up what is due, and returns the positions that it wrote.
async fn give_up(
    projections: &Projections,
    workspace: WorkspaceId,
    now: Moment,
) -> Result<Vec<u64>, ReconcileError> {
    let mut decisions = Vec::new();
    for due in projections.overdue(workspace, now, PAGE).await? {
        if let Some(decision) = lifecycle::abandon(&due.run, due.due_at, now)? {
            if let Err(forbidden) = evidence::check(&decision.evidence) {
                tracing::error!(%workspace, run = %due.run_id, %forbidden, "a decision was dropped");
                continue;
            }
            let command = RunCommand::Reconcile(Box::new(decision));
            decisions.push(Submission::new(Command::Run(due.run_id, command)));
        }
    }
    let mut recorded = Vec::with_capacity(decisions.len());
    for answer in projections.ledger().submit(workspace, decisions, false).await? {
        match answer {
            Answer::Recorded(receipt) => recorded.push(receipt.position),
            Answer::Refused(refusal) => tracing::debug!(%workspace, %refusal, "looked at again"),
            answer => tracing::debug!(%workspace, ?answer, "nothing to reconcile"),
        }
    }
    Ok(recorded)
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

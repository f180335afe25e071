//! Before a dispatch that asks for it (`unless_proven`): is its work there already?
//!
//! The adapter of the operation is asked about the run that the dispatch would make, in its scope.
//! Only a proof of success counts. Whatever else it says, and whatever is wrong with it, the
//! dispatch goes its way: a question must never keep work from being done.

use std::collections::HashSet;
use std::time::Duration;

use runledger_adapters::adapter::Case;
use runledger_adapters::registry::{Judged, Registry};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::fact::Fact;
use runledger_ledger::run::{AdapterDecision, Dispatch, ReservationKey, Run, RunCommand};
use runledger_ledger::store::StoreError;
use runledger_ledger::submission::{Command, Found, Proven, Submission};
use runledger_ledger::words::{Name, RunId, WorkspaceId};

use crate::app::App;

/// How long adapters may take for a request. Then nothing is proven.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked at most, when somebody else was at the same work meanwhile.
const LOOKS: usize = 3;
/// Events of others that are looked through for such work; of more, it is taken for granted.
const EVENTS: u32 = 2_000;

/// The workspace that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its id.
    pub workspace: WorkspaceId,
    /// Its name: what adapters know it by.
    pub name: &'a Name,
}

/// Notes on those of `submissions` that are in `asking` what is found about their work.
///
/// # Errors
/// The ledger's own database failed.
pub async fn look(
    app: &App,
    place: Place<'_>,
    submissions: &mut [Submission],
    asking: &[usize],
) -> Result<(), StoreError> {
    let registry = app.reconciler().registry();
    let catalog = app.ledger().catalog(place.workspace).await?;
    let owned = |at: &usize| {
        let dispatch = dispatch_of(&submissions[*at].command);
        dispatch.is_some_and(|(_, dispatch)| {
            registry.owner(catalog.canonical(dispatch.operation.as_str())).is_some()
        })
    };
    let mut open: Vec<usize> = asking.iter().copied().filter(owned).collect();
    let looks = async {
        for _ in 0..LOOKS {
            if open.is_empty() {
                break;
            }
            open = once(app, place, &catalog, submissions, open).await?;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, looks).await {
        Ok(looked) => looked,
        Err(_) => {
            tracing::warn!(workspace = %place.name, "adapters took too long before a dispatch");
            Ok(())
        }
    }
}

/// Asks once about the dispatches in `open`, and says which are to be asked about again.
///
/// An answer is of the moment of its question. A run of the same key may have done the work after
/// that moment and ended before the dispatch is recorded: then neither the answer nor the key shows
/// it. So whose key was held meanwhile is answered with the run that holds it, or asked about again.
async fn once(
    app: &App,
    place: Place<'_>,
    catalog: &Catalog,
    submissions: &mut [Submission],
    open: Vec<usize>,
) -> Result<Vec<usize>, StoreError> {
    let (store, workspace) = (app.ledger().store(), place.workspace);
    let before = store.head(workspace).await?.map_or(0, |head| head.size());
    let key = |submission: &Submission| {
        let (_, dispatch) = dispatch_of(&submission.command)?;
        ReservationKey::asked(dispatch, catalog.canonical(dispatch.operation.as_str()))
    };
    let keys: Vec<ReservationKey> = open.iter().filter_map(|at| key(&submissions[*at])).collect();
    let held: HashSet<ReservationKey> =
        store.reservations(workspace, &keys).await?.into_iter().map(|(key, _)| key).collect();
    let proofs = ask(app, place, catalog, submissions, &open).await;
    let taken = taken_since(app, workspace, before).await?;
    let holders = store.reservations(workspace, &keys).await?;
    let mut again = Vec::new();
    for (at, proof) in open.into_iter().zip(proofs) {
        let submission = &mut submissions[at];
        let key = key(submission);
        let holder = holders.iter().find(|(held, _)| Some(*held) == key).map(|(_, run)| *run);
        let moved = key.is_some_and(|key| {
            held.contains(&key) || taken.as_ref().is_none_or(|taken| taken.contains(&key))
        });
        submission.found = proof.map(Found::Proven).or(holder.map(Found::Held));
        if submission.found.is_none() && moved {
            again.push(at);
        }
    }
    Ok(again)
}

/// What proves the work of each of these dispatches; none if nothing does.
async fn ask(
    app: &App,
    place: Place<'_>,
    catalog: &Catalog,
    submissions: &[Submission],
    open: &[usize],
) -> Vec<Option<Proven>> {
    let registry = app.reconciler().registry();
    let cases = open.iter().filter_map(|at| case(app, place, catalog, &submissions[*at].command));
    let judged = registry.judge(cases.collect()).await;
    judged.iter().map(|judged| proof(registry, judged)).collect()
}

/// The run that a dispatch would make, as a case.
fn case(app: &App, place: Place<'_>, catalog: &Catalog, command: &Command) -> Option<Case> {
    let (run_id, dispatch) = dispatch_of(command)?;
    let named = &dispatch.named;
    let run = Run {
        operation: Name::new(catalog.canonical(dispatch.operation.as_str())).ok(),
        environment: named.environment.clone(),
        subject: named.subject.clone(),
        fingerprint: named.fingerprint.clone(),
        external_ids: named.external_ids.clone(),
        labels: dispatch.origin.labels.clone(),
        dispatched_at: app.ledger().now(),
        ..Run::default()
    };
    Some(Case {
        at: app.ledger().now(),
        give_up_at: None,
        run,
        run_id,
        stale: false,
        workspace: place.workspace,
        workspace_name: place.name.clone(),
    })
}

/// The owner's proof of success. It has been through the seam like any decision.
fn proof(registry: &Registry, judged: &Judged) -> Option<Proven> {
    let owner = registry.owner(judged.case.operation())?;
    let asked = judged.asked.iter().find(|asked| asked.adapter == owner.manifest.name)?;
    let decided = &asked.result.as_ref().ok()?.commands.reconcile;
    (decided.decision == AdapterDecision::Succeeded).then(|| Proven {
        adapter: decided.adapter.clone(),
        reason_code: decided.reason_code.clone(),
        related: decided.related.clone(),
    })
}

/// The keys that runs took since the log had `before` events; none if there are too many events to
/// look through.
async fn taken_since(
    app: &App,
    workspace: WorkspaceId,
    before: u64,
) -> Result<Option<HashSet<ReservationKey>>, StoreError> {
    let events = app.ledger().store().log(workspace, before, u64::MAX, EVENTS).await?;
    if events.len() >= EVENTS as usize {
        return Ok(None);
    }
    let mut taken = HashSet::new();
    for event in events {
        let recorded = Recorded::decode(&event.body)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        if let AnyEvent::Run(event) = recorded.fact.event {
            let (occurred_at, recorded_at) = (recorded.fact.occurred_at, recorded.fact.recorded_at);
            let mut run = Run::default();
            run.apply(&Fact { occurred_at, recorded_at, event });
            taken.extend(ReservationKey::of_run(&run));
        }
    }
    Ok(Some(taken))
}

/// A dispatch, and the run that it may make.
fn dispatch_of(command: &Command) -> Option<(RunId, &Dispatch)> {
    let (run, command) = match command {
        Command::Run(run, command) => (*run, command),
        Command::Correlated(correlated) => (correlated.new_run(), correlated.command()),
        _ => return None,
    };
    match command {
        RunCommand::Dispatch(dispatch) => Some((run, dispatch)),
        _ => None,
    }
}

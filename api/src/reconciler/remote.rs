//! Remote adapters: runs wait in their wakes until a program of its own claims them, and what it
//! posts goes the same way as every other decision.
//!
//! A claim is a lease on one run. A decision holds for the run as it was claimed; if it has moved
//! since, the ledger refuses, and it is to be claimed again.

use runledger_adapters::adapter::{Case, Decision};
use runledger_adapters::registry::{self, Registered};
use runledger_adapters::seam::SeamError;
use runledger_ledger::clock::NoEntropy;
use runledger_ledger::run::Run;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{RunId, WorkspaceId};
use runledger_projections::{Candidate, Claim, HealthNote, ProjectionError, Rescheduled, Wake};
use tokio::time::Instant;
use uuid::Uuid;

use super::page::{Fate, case, done};
use super::schedule::{Found, Look};
use super::visit::{Owner, Place};
use super::{ReconcileError, Reconciler};
use crate::listening;

/// How often it looks for other runs where those that were due turned out to be settled.
const MOST_TRIES: usize = 10;

/// A run to judge, and the claim on it.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The claim.
    pub claim: Uuid,
    /// The run.
    pub case: Case,
    /// When the claim is over, unless a heartbeat comes.
    pub leased_until: Moment,
}

/// What became of a decision that was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It is in the log, at this position.
    Recorded(u64),
    /// It says nothing new of the run: `no_change`, or what is recorded already.
    NoEvent,
}

/// Why a remote adapter is not heard.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is no such adapter.
    #[error("no adapter is called {0}; `runledger adapters list` names them all")]
    UnknownAdapter(String),
    /// It is asked by the server itself.
    #[error("the adapter {0} is not remote: the server asks it itself")]
    NotRemote(String),
    /// There is no such claim.
    #[error(
        "there is no claim {0} of this adapter: it was decided, or taken over after its lease; \
         claim again"
    )]
    UnknownClaim(Uuid),
    /// The lease has ended.
    #[error("the lease of the claim ended at {0}; nothing was recorded, so claim again")]
    Expired(Moment),
    /// The run is not what was judged.
    #[error("the run {0} has moved since it was claimed; nothing was recorded, so claim again")]
    Moved(RunId),
    /// The decision must not be recorded.
    #[error(transparent)]
    Seam(#[from] SeamError),
    /// The ledger takes no such decision.
    #[error("the ledger does not take the decision; the server's log says why")]
    Refused,
    /// There is no id for a claim.
    #[error("no claim could be made")]
    Entropy(#[from] NoEntropy),
    /// It could not be looked at.
    #[error(transparent)]
    Failed(#[from] ReconcileError),
}

impl From<ProjectionError> for RemoteError {
    fn from(error: ProjectionError) -> Self {
        RemoteError::Failed(error.into())
    }
}

impl Reconciler {
    /// Claims at most `limit` runs that wait for the remote adapter `adapter`, the longest due
    /// first, for the length of `lease`.
    ///
    /// # Errors
    /// There is no such remote adapter, or the database failed.
    pub async fn claim(
        &self,
        workspace: WorkspaceId,
        name: &str,
        adapter: &str,
        limit: u32,
        lease: Span,
    ) -> Result<Vec<Claimed>, RemoteError> {
        self.remote(adapter)?;
        let place = Place { workspace, name, now: self.now() };
        // As when the server judges: a silence that nobody listened to makes no run stale.
        if !self.listens(place.now).await? || !self.is_caught_up(workspace).await? {
            return Ok(Vec::new());
        }
        for _ in 0..MOST_TRIES {
            let projections = &self.inner.projections;
            let due = projections.unclaimed(workspace, adapter, place.now, limit).await?;
            let (open, settled): (Vec<_>, Vec<_>) = due.into_iter().partition(is_open);
            if !settled.is_empty() {
                let settled: Vec<_> = settled.iter().map(done).collect();
                projections.looked(workspace, adapter, &settled, &[]).await?;
            }
            let claimed = self.claim_these(place, adapter, open, lease).await?;
            if !claimed.is_empty() || settled.is_empty() {
                return Ok(claimed);
            }
        }
        Ok(Vec::new())
    }

    async fn claim_these(
        &self,
        place: Place<'_>,
        adapter: &str,
        open: Vec<Candidate>,
        lease: Span,
    ) -> Result<Vec<Claimed>, RemoteError> {
        let leased_until = place.now.plus(lease);
        let claim = |found: &Candidate| -> Result<Claim, NoEntropy> {
            Ok(Claim {
                id: self.inner.entropy.uuid_v7(place.now)?,
                run_id: found.run_id,
                events: found.run.events,
                wake_due_at: found.wake.map_or(place.now, |wake| wake.due_at),
                claimed_at: place.now,
                leased_until,
            })
        };
        let claims: Vec<Claim> = open.iter().map(claim).collect::<Result<_, _>>()?;
        let projections = &self.inner.projections;
        let stand = projections.claim(place.workspace, adapter, place.now, &claims).await?;
        let ours = claims.iter().zip(&open).filter(|(claim, _)| stand.contains(&claim.id));
        let claimed = ours.map(|(claim, found)| {
            let case = case(place, found).map_err(ReconcileError::from)?;
            Ok(Claimed { claim: claim.id, case, leased_until })
        });
        claimed.collect()
    }

    /// Takes what a remote adapter decided of a run that it has claimed. The claim is over then,
    /// but not if the decision may not be recorded: another one may be posted.
    ///
    /// # Errors
    /// The claim does not stand, the run has moved, or the decision breaks a rule. Nothing is
    /// recorded then.
    pub async fn post(
        &self,
        workspace: WorkspaceId,
        name: &str,
        adapter: &str,
        id: Uuid,
        decision: Decision,
    ) -> Result<Posted, RemoteError> {
        let began = Instant::now();
        let (registered, owner) = self.remote(adapter)?;
        let claim = self.standing_claim(workspace, adapter, id).await?;
        // If they are behind for longer, the ledger knows better.
        self.is_caught_up(workspace).await?;
        let projections = &self.inner.projections;
        let found = projections.candidate(workspace, claim.run_id).await?;
        let Some(found) = found.filter(|found| found.run.events == claim.events) else {
            projections.release_claim(workspace, id).await?;
            return Err(RemoteError::Moved(claim.run_id));
        };
        let found = as_claimed(found, &claim);
        let place = Place { workspace, name, now: self.now() };
        // The question was asked when the run was claimed.
        let asked = Place { now: claim.claimed_at, ..place };
        let case = case(asked, &found).map_err(ReconcileError::from)?;
        let ruling = match registered.posted(&case, decision) {
            Ok(ruling) => ruling,
            Err(error) => {
                self.wait_longer(place, owner, (&found, &claim), error.code()).await?;
                return Err(error.into());
            }
        };
        let asked = registry::Asked { adapter: adapter.to_owned(), result: Ok(ruling) };
        let judged = [registry::Judged { case, asked: vec![asked] }];
        let fate = self.submit(place, &judged, began).await?.pop();
        let fate = fate.unwrap_or(Fate::NoNews);
        let next = self.rescheduled(place.now, owner, &found, &judged[0], fate);
        let note = health(adapter, place.now, None);
        projections.looked(workspace, adapter, &[next], &[note]).await?;
        projections.release_claim(workspace, id).await?;
        match fate {
            Fate::Recorded(position) => Ok(Posted::Recorded(position)),
            Fate::NoNews => Ok(Posted::NoEvent),
            Fate::Moved => Err(RemoteError::Moved(claim.run_id)),
            Fate::Refused => Err(RemoteError::Refused),
        }
    }

    /// Has a claim last for `lease` from now on, and says when that ends.
    ///
    /// # Errors
    /// The claim does not stand, or the database failed.
    pub async fn keep_claim(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        id: Uuid,
        lease: Span,
    ) -> Result<Moment, RemoteError> {
        self.remote(adapter)?;
        let claim = self.standing_claim(workspace, adapter, id).await?;
        let now = self.now();
        let until = now.plus(lease);
        match self.inner.projections.extend_claim(workspace, id, now, until).await? {
            true => Ok(until),
            false => Err(RemoteError::Expired(claim.leased_until)),
        }
    }

    /// A refused decision counts like a source that gave no answer: after the lease its run waits,
    /// longer each time, so that a program with a mistake in it does not go round in circles. The
    /// claim stands, and a better decision on it ends the wait.
    async fn wait_longer(
        &self,
        place: Place<'_>,
        owner: &Owner,
        (found, claim): (&Candidate, &Claim),
        code: &'static str,
    ) -> Result<(), RemoteError> {
        let projections = &self.inner.projections;
        let Candidate { run_id, deadline, wake, .. } = *found;
        // From when its lease ends: until then nobody else gets the run anyway.
        let now = claim.leased_until.max(place.now);
        let look = Look { found: Found::NoAnswer, now, revisit: owner.revisit, deadline, wake };
        let after = look.next(self.chance());
        let next = Rescheduled { run_id, before: Some(claim.wake_due_at), after };
        let note = health(&owner.name, place.now, Some(code));
        projections.looked(place.workspace, &owner.name, &[next], &[note]).await?;
        if let Some(wake) = after {
            projections.retime_claim(place.workspace, claim.id, wake.due_at).await?;
        }
        Ok(())
    }

    fn remote(&self, adapter: &str) -> Result<(&Registered, &Owner), RemoteError> {
        let registered = self.inner.registry.adapter(adapter);
        let registered =
            registered.ok_or_else(|| RemoteError::UnknownAdapter(adapter.to_owned()))?;
        let owner = self.inner.owners.iter().find(|owner| owner.name == adapter && owner.remote);
        let owner = owner.ok_or_else(|| RemoteError::NotRemote(adapter.to_owned()))?;
        Ok((registered, owner))
    }

    async fn standing_claim(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        id: Uuid,
    ) -> Result<Claim, RemoteError> {
        let claim = self.inner.projections.claimed(workspace, adapter, id).await?;
        let claim = claim.ok_or(RemoteError::UnknownClaim(id))?;
        if claim.leased_until <= self.now() {
            return Err(RemoteError::Expired(claim.leased_until));
        }
        Ok(claim)
    }

    async fn listens(&self, now: Moment) -> Result<bool, ReconcileError> {
        let mark = self.inner.projections.ledger().store().listened_at().await?;
        Ok(mark.is_some_and(|at| now.since(at) <= listening::GAP))
    }
}

/// Whether a decision on it could be recorded.
fn is_open(found: &Candidate) -> bool {
    let run: &Run = &found.run;
    run.is_active() || run.is_open_to_proof()
}

/// The run with the wake that it was claimed by, so that a look that was asked for since stays.
fn as_claimed(found: Candidate, claim: &Claim) -> Candidate {
    let (attempt, looks) = found.wake.map_or((0, 0), |wake| (wake.attempt, wake.looks));
    let wake = Some(Wake { due_at: claim.wake_due_at, attempt, looks });
    Candidate { wake, ..found }
}

fn health(adapter: &str, at: Moment, error: Option<&'static str>) -> HealthNote {
    HealthNote { adapter: adapter.to_owned(), at, answered: error.is_none(), error }
}

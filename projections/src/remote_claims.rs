//! Runs that remote adapters have claimed to judge, each for the length of a lease.
//!
//! A claim is only the right to be heard first. What a decision may change, the ledger says: it
//! expects the run as it was claimed. So all claims may be deleted, and nothing is decided twice.

use runledger_ledger::store::StoreError;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{RunId, WorkspaceId};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Tx, on_store, on_tx};
use crate::projections::Projections;
use crate::projector::ProjectionError;

/// How long a claim is remembered after its lease, so that who comes late is told so.
const REMEMBERED: Span = Span::from_secs(3_600);

/// A claim on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it is known by; nobody else's.
    pub id: Uuid,
    /// The run.
    pub run_id: RunId,
    /// Events of the run as it was claimed: what a decision expects.
    pub events: u32,
    /// When the wake was due that it was claimed by.
    pub wake_due_at: Moment,
    /// When it was claimed: the time of the question.
    pub claimed_at: Moment,
    /// When its lease ends. At that instant it is over.
    pub leased_until: Moment,
}

const ADD: &str = "INSERT INTO remote_claims (workspace_id, run_id, claim_id, adapter, events, \
     wake_due_at, claimed_at, leased_until) ";
/// A claim that stands keeps its run.
const OVER: &str = " ON CONFLICT (workspace_id, run_id) DO UPDATE SET \
     claim_id = excluded.claim_id, adapter = excluded.adapter, events = excluded.events, \
     wake_due_at = excluded.wake_due_at, claimed_at = excluded.claimed_at, \
     leased_until = excluded.leased_until \
     WHERE remote_claims.leased_until <= excluded.claimed_at RETURNING claim_id";
const FORGET: &str = "DELETE FROM remote_claims \
     WHERE workspace_id = $1 AND adapter = $2 AND leased_until <= $3";
const ONE: &str = "SELECT run_id, events, wake_due_at, claimed_at, leased_until \
     FROM remote_claims WHERE workspace_id = $1 AND claim_id = $2 AND adapter = $3";
const EXTEND: &str = "UPDATE remote_claims SET leased_until = $4 \
     WHERE workspace_id = $1 AND claim_id = $2 AND leased_until > $3";
/// Only if the wake is where the claim is to have it: somebody who asked meanwhile is heard.
const RETIME: &str = "UPDATE remote_claims SET wake_due_at = $3 \
     WHERE workspace_id = $1 AND claim_id = $2 AND EXISTS (SELECT 1 FROM reconciler_wakes AS w \
     WHERE w.workspace_id = remote_claims.workspace_id AND w.run_id = remote_claims.run_id \
     AND w.due_at = $3)";
const RELEASE: &str = "DELETE FROM remote_claims WHERE workspace_id = $1 AND claim_id = $2";

impl Projections {
    /// Claims runs for `adapter`, and says which of the claims stand: not those on runs that
    /// somebody else was faster to claim.
    pub async fn claim(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        now: Moment,
        claims: &[Claim],
    ) -> Result<Vec<Uuid>, ProjectionError> {
        let mut tx = Tx::begin(self.store(), workspace).await?;
        let before = Moment::from_micros(now.micros().saturating_sub(REMEMBERED.micros()));
        on_tx!(&mut tx, |connection| {
            sqlx::query(FORGET)
                .bind(workspace.0)
                .bind(adapter)
                .bind(before.micros())
                .execute(connection)
                .await?;
        });
        // In the order of their keys, so that two who claim the same do not wait for each other.
        let mut sorted: Vec<&Claim> = claims.iter().collect();
        sorted.sort_unstable_by_key(|claim| claim.run_id);
        let stand = add(&mut tx, workspace, adapter, &sorted).await?;
        tx.commit().await?;
        Ok(stand)
    }

    /// The claim of `adapter` with this id, whether its lease has ended or not.
    pub async fn claimed(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        id: Uuid,
    ) -> Result<Option<Claim>, ProjectionError> {
        let row: Option<(Uuid, i64, i64, i64, i64)> =
            on_store!(self.store(), workspace, |connection| {
                let query = sqlx::query_as(ONE).bind(workspace.0).bind(id).bind(adapter);
                query.fetch_optional(connection).await?
            });
        let claim = |(run, events, wake_due_at, claimed_at, leased_until)| Claim {
            id,
            run_id: RunId(run),
            events: u32::try_from(events).unwrap_or_default(),
            wake_due_at: Moment::from_micros(wake_due_at),
            claimed_at: Moment::from_micros(claimed_at),
            leased_until: Moment::from_micros(leased_until),
        };
        Ok(row.map(claim))
    }

    /// Has a claim's lease end at `until`; false if it has ended by `now`, or the claim is gone.
    pub async fn extend_claim(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        now: Moment,
        until: Moment,
    ) -> Result<bool, ProjectionError> {
        let mut tx = Tx::begin(self.store(), workspace).await?;
        let extended = on_tx!(&mut tx, |connection| {
            sqlx::query(EXTEND)
                .bind(workspace.0)
                .bind(id)
                .bind(now.micros())
                .bind(until.micros())
                .execute(connection)
                .await?
                .rows_affected()
        });
        tx.commit().await?;
        Ok(extended > 0)
    }

    /// Has a claim go on under the wake of its run that is due at `due_at` by now, if there is one.
    pub async fn retime_claim(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        due_at: Moment,
    ) -> Result<(), ProjectionError> {
        let mut tx = Tx::begin(self.store(), workspace).await?;
        on_tx!(&mut tx, |connection| {
            let query = sqlx::query(RETIME).bind(workspace.0).bind(id).bind(due_at.micros());
            query.execute(connection).await?;
        });
        Ok(tx.commit().await?)
    }

    /// Ends a claim.
    pub async fn release_claim(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
    ) -> Result<(), ProjectionError> {
        let mut tx = Tx::begin(self.store(), workspace).await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(RELEASE).bind(workspace.0).bind(id).execute(connection).await?;
        });
        Ok(tx.commit().await?)
    }
}

async fn add(
    tx: &mut Tx,
    workspace: WorkspaceId,
    adapter: &str,
    claims: &[&Claim],
) -> Result<Vec<Uuid>, StoreError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let stand: Vec<(Uuid,)> = on_tx!(tx, |connection| {
        let mut query = QueryBuilder::<Db>::new(ADD);
        query.push_values(claims, |mut values, claim| {
            values
                .push_bind(workspace.0)
                .push_bind(claim.run_id.0)
                .push_bind(claim.id)
                .push_bind(adapter)
                .push_bind(i64::from(claim.events))
                .push_bind(claim.wake_due_at.micros())
                .push_bind(claim.claimed_at.micros())
                .push_bind(claim.leased_until.micros());
        });
        query.push(OVER).build_query_as().fetch_all(connection).await?
    });
    Ok(stand.into_iter().map(|(id,)| id).collect())
}

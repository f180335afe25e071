//! How the sources of adapters answer: what an operator looks at when proofs do not come.

use std::collections::BTreeMap;

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;

use crate::db::{Tx, on_store, on_tx};
use crate::projections::Projections;
use crate::projector::{ProjectionError, unsigned};

/// How the source of an adapter answered for one page of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthNote {
    /// The adapter.
    pub adapter: String,
    /// When it was asked.
    pub at: Moment,
    /// Whether there was an answer for any of the runs.
    pub answered: bool,
    /// The class of an error, if there was one for any of them.
    pub error: Option<&'static str>,
}

/// How an adapter's source has answered so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdapterHealth {
    /// When it last answered.
    pub last_success: Option<Moment>,
    /// Its last error: the class, and when.
    pub last_error: Option<(String, Moment)>,
    /// Pages in a row for which there was no answer at all.
    pub failures: u64,
    /// Runs that are due and not decided and subjects that are due and not looked at, those that wait
    /// for another try included.
    pub backlog: u64,
}

const NOTE: &str = "INSERT INTO adapter_health \
     (workspace_id, adapter, last_success, last_error, last_error_at, failures) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, adapter) DO UPDATE SET \
     last_success = coalesce(excluded.last_success, adapter_health.last_success), \
     last_error = coalesce(excluded.last_error, adapter_health.last_error), \
     last_error_at = coalesce(excluded.last_error_at, adapter_health.last_error_at), \
     failures = CASE WHEN excluded.last_success IS NULL \
     THEN adapter_health.failures + excluded.failures ELSE 0 END";
const HEALTH: &str = "SELECT adapter, last_success, last_error, last_error_at, failures \
     FROM adapter_health WHERE workspace_id = $1";
const BACKLOG: &str = "SELECT adapter, count(*) FROM reconciler_wakes \
     WHERE workspace_id = $1 AND due_at <= $2 GROUP BY adapter UNION ALL \
     SELECT adapter, count(*) FROM reconciler_wakes \
     WHERE workspace_id = $1 AND attempt > 0 AND due_at > $2 GROUP BY adapter UNION ALL \
     SELECT adapter, count(*) FROM observer_wakes \
     WHERE workspace_id = $1 AND (due_at <= $2 OR attempt > 0) GROUP BY adapter";
/// An adapter and a count.
type Count = (String, i64);
type HealthRow = (String, Option<i64>, Option<String>, Option<i64>, i64);

impl Projections {
    /// How the sources have answered in a workspace, by adapter. One that was never asked is not
    /// there.
    pub async fn adapter_health(
        &self,
        workspace: WorkspaceId,
        at: Moment,
    ) -> Result<BTreeMap<String, AdapterHealth>, ProjectionError> {
        let (rows, backlog): (Vec<HealthRow>, Vec<Count>) =
            on_store!(self.store(), workspace, |connection| {
                let rows =
                    sqlx::query_as(HEALTH).bind(workspace.0).fetch_all(&mut *connection).await?;
                let backlog = sqlx::query_as(BACKLOG).bind(workspace.0).bind(at.micros());
                (rows, backlog.fetch_all(&mut *connection).await?)
            });
        let mut health: BTreeMap<String, AdapterHealth> = BTreeMap::new();
        for (adapter, last_success, error, error_at, failures) in rows {
            let found = AdapterHealth {
                last_success: last_success.map(Moment::from_micros),
                last_error: error.zip(error_at.map(Moment::from_micros)),
                failures: unsigned(failures),
                backlog: 0,
            };
            health.insert(adapter, found);
        }
        for (adapter, runs) in backlog {
            health.entry(adapter).or_default().backlog += unsigned(runs);
        }
        Ok(health)
    }

    /// Of each adapter the most failures in a row in any workspace, and its backlog in all of them.
    pub async fn adapter_totals(
        &self,
        at: Moment,
    ) -> Result<BTreeMap<String, (u64, u64)>, ProjectionError> {
        let mut totals: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (workspace, _) in self.store().workspaces().await? {
            for (adapter, health) in self.adapter_health(workspace, at).await? {
                let (failures, backlog) = totals.entry(adapter).or_default();
                *failures = health.failures.max(*failures);
                *backlog += health.backlog;
            }
        }
        Ok(totals)
    }
}

pub(crate) async fn note(
    tx: &mut Tx,
    workspace: WorkspaceId,
    notes: &[HealthNote],
) -> Result<(), StoreError> {
    for note in notes {
        let success = note.answered.then(|| note.at.micros());
        on_tx!(&mut *tx, |connection| {
            sqlx::query(NOTE)
                .bind(workspace.0)
                .bind(note.adapter.as_str())
                .bind(success)
                .bind(note.error)
                .bind(note.error.map(|_| note.at.micros()))
                .bind(i64::from(!note.answered))
                .execute(connection)
                .await?;
        });
    }
    Ok(())
}

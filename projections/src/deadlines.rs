//! What falls due by itself: runs that stayed stale for as long as their family bears.

use runledger_ledger::run::Run;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};

use crate::db::on_store;
use crate::projections::Projections;
use crate::projector::ProjectionError;
use crate::tables::{Model, RunRow};

/// A run whose `abandon_after` has passed (DESIGN section 5).
#[derive(Clone, Debug, PartialEq)]
pub struct Overdue {
    /// Which run.
    pub run_id: RunId,
    /// When it fell due.
    pub due_at: Moment,
    /// What is recorded of it. Its `events` are what a decision on it must expect.
    pub run: Run,
}

const NEXT: &str = "SELECT min(abandon_at) FROM runs \
     WHERE workspace_id = $1 AND generation = $2 AND abandon_at IS NOT NULL";
const OVERDUE: &str = "SELECT * FROM runs WHERE workspace_id = $1 AND generation = $2 \
     AND abandon_at IS NOT NULL AND abandon_at <= $3 ORDER BY abandon_at LIMIT $4";
const ACTIVE: &str = "SELECT EXISTS (SELECT 1 FROM runs WHERE workspace_id = $1 \
     AND generation = $2 AND status < 2) OR EXISTS (SELECT 1 FROM workers \
     WHERE workspace_id = $1 AND generation = $2 AND lease_until > $3)";

impl Projections {
    /// The earliest moment at which a run of the workspace falls due, if any does.
    pub async fn next_overdue(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Option<Moment>, ProjectionError> {
        let Some(Model { generation, .. }) = self.model(workspace).await? else { return Ok(None) };
        let (next,): (Option<i64>,) = on_store!(self.store(), workspace, |connection| {
            sqlx::query_as(NEXT).bind(workspace.0).bind(generation).fetch_one(connection).await?
        });
        Ok(next.map(Moment::from_micros))
    }

    /// The runs that are due at `at`, the longest due first, at most `limit`.
    pub async fn overdue(
        &self,
        workspace: WorkspaceId,
        at: Moment,
        limit: u32,
    ) -> Result<Vec<Overdue>, ProjectionError> {
        let Some(Model { generation, .. }) = self.model(workspace).await? else {
            return Ok(Vec::new());
        };
        let rows: Vec<RunRow> = on_store!(self.store(), workspace, |connection| {
            sqlx::query_as(OVERDUE)
                .bind(workspace.0)
                .bind(generation)
                .bind(at.micros())
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await?
        });
        let overdue = rows.iter().map(|row| {
            let due_at = Moment::from_micros(row.abandon_at.unwrap_or_default());
            Ok(Overdue { run_id: row.id(), due_at, run: row.run()? })
        });
        overdue.collect()
    }

    /// Whether silence in the workspace means anything at `at`: it has active runs or live leases.
    pub async fn listens(
        &self,
        workspace: WorkspaceId,
        at: Moment,
    ) -> Result<bool, ProjectionError> {
        let Some(Model { generation, .. }) = self.model(workspace).await? else { return Ok(false) };
        let (active,): (bool,) = on_store!(self.store(), workspace, |connection| {
            sqlx::query_as(ACTIVE)
                .bind(workspace.0)
                .bind(generation)
                .bind(at.micros())
                .fetch_one(connection)
                .await?
        });
        Ok(active)
    }

    pub(crate) async fn model(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Option<Model>, ProjectionError> {
        Ok(self.inner.live(workspace).await?.map(|live| live.model))
    }
}

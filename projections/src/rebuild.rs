//! Rebuilding: read models are derived again beside the live ones and take their place.

use std::time::Duration;

use runledger_ledger::correlation;
use runledger_ledger::store::{Store, StoreError};
use runledger_ledger::time::Span;
use runledger_ledger::words::WorkspaceId;

use crate::ahead::{self, Ahead};
use crate::db::{self, Tx, on_tx};
use crate::follower;
use crate::lease::{self, Held};
use crate::projections::{Inner, Projections};
use crate::projector::{self, Checkpoint, ProjectionError, VERSION};
use crate::tables::Model;

/// Events folded in one transaction: more than of a live page, for which somebody may be waiting.
const PAGE: u32 = 10_000;
/// How long a rebuild that was killed counts as running.
const LEASE: Span = Span::from_secs(10);
/// How long readers of the old generation get to finish.
const GRACE: Duration = Duration::from_secs(2);

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events folded.
    pub folded: u64,
    /// Events in the log when it was last looked at.
    pub size: u64,
}

impl Projections {
    /// Derives the read models of a workspace again from its log, beside the live ones, and puts
    /// them in their place when they have caught up. Returns how many events they hold.
    /// What external ids name is derived again beside them, in its place.
    ///
    /// # Errors
    /// [`ProjectionError::Rebuilding`] if somebody else does so already, here or on another server;
    /// [`ProjectionError::Newer`] if a newer program has made them.
    pub async fn rebuild(
        &self,
        workspace: WorkspaceId,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<u64, ProjectionError> {
        let store = self.inner.ledger.store();
        // Neither reads what the other one writes. Neither is dropped when the other one fails: what
        // is broken off keeps its lease for a while.
        let (restored, position) = tokio::join!(
            correlation::restore(store, workspace),
            rebuild(&self.inner, workspace, progress)
        );
        let (restored, position) = (restored?, position?);
        if !restored.is_empty() {
            tracing::warn!(%workspace, rows = restored.len(), "correlations were put right");
        }
        Ok(position)
    }
}

pub(crate) async fn rebuild(
    inner: &Inner,
    workspace: WorkspaceId,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<u64, ProjectionError> {
    let lease = format!("rebuild/{workspace}");
    let work = Box::pin(derive(inner, workspace, progress));
    match lease::hold(inner, (&lease, LEASE), inner.holder(), work).await? {
        Held::Done(derived) => derived,
        Held::ByAnother => Err(ProjectionError::Rebuilding),
        Held::Lost => Err(ProjectionError::NotAlone),
    }
}

async fn derive(
    inner: &Inner,
    workspace: WorkspaceId,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<u64, ProjectionError> {
    let store = inner.ledger.store();
    let generations = Checkpoint::all(store, store, workspace).await?;
    if let Some(newer) = generations.iter().find(|old| old.live && old.version > VERSION) {
        return Err(ProjectionError::Newer { version: newer.version });
    }
    let newest = generations.iter().map(|old| old.model.generation).max().unwrap_or_default();
    // What an interrupted rebuild left is of no use to anybody.
    for left in generations.iter().filter(|old| !old.live) {
        drop_generation(store, left.model).await?;
    }
    let model = Model { workspace, generation: newest + 1 };
    let mut building = Checkpoint::create(store, model, false).await?;
    let mut ahead = Ahead::new(store, workspace, PAGE);
    let mut counted = false;
    loop {
        let size = store.head(workspace).await?.map_or(0, |head| head.size());
        let next = follower::advance(&mut ahead, store, &building, u64::MAX).await?;
        progress(Progress { folded: next.position, size });
        let more = next.position - building.position == u64::from(PAGE);
        building = next;
        if more {
            continue;
        }
        if !counted {
            counted = true;
            db::count_rows(store).await?;
        }
        if let Some(swapped) = swap(store, &building).await? {
            building = swapped;
            break;
        }
    }
    inner.moved.note(workspace, building.position);
    tokio::time::sleep(GRACE).await;
    for old in generations.iter().filter(|old| old.live) {
        drop_generation(store, old.model).await?;
    }
    Ok(building.position)
}

/// Makes `new` the live generation. What the live one holds beyond it is folded in the same
/// transaction, while the live one is held where it is: a log that grows without a pause would keep
/// ahead of it for ever otherwise. `None` if that is more than a page.
async fn swap(store: &Store, new: &Checkpoint) -> Result<Option<Checkpoint>, ProjectionError> {
    let workspace = new.model.workspace;
    let mut tx = Tx::begin(store, workspace).await?;
    let live = hold_live(&mut tx, workspace).await?.unwrap_or_default();
    if live > new.position + u64::from(PAGE) {
        return Ok(None);
    }
    let mut new = new.clone();
    if live > new.position {
        let rest = ahead::read_in(store, &mut tx, workspace, new.position, live).await?;
        new = projector::project_in(&mut tx, &new, rest).await?;
    }
    if !promote(&mut tx, &new).await? {
        // Somebody has taken it for left over.
        return Err(ProjectionError::NotAlone);
    }
    tx.commit().await?;
    Ok(Some(new))
}

/// Keeps the live generation from going on until the transaction ends. Returns where it is.
async fn hold_live(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<u64>, StoreError> {
    const HOLD: &str = "UPDATE projections SET live = live WHERE workspace_id = $1 AND live \
         RETURNING position";
    let held: Option<(i64,)> = on_tx!(tx, |connection| {
        sqlx::query_as(HOLD).bind(workspace.0).fetch_optional(connection).await?
    });
    Ok(held.map(|(position,)| u64::try_from(position).unwrap_or_default()))
}

/// Puts a generation that holds all that the live one holds in its place, unless it is gone.
async fn promote(tx: &mut Tx, new: &Checkpoint) -> Result<bool, StoreError> {
    const RETIRE: &str = "UPDATE projections SET live = $4 \
         WHERE workspace_id = $1 AND live AND position <= $2 AND generation <> $3";
    const PROMOTE: &str = "UPDATE projections SET live = $4 \
         WHERE workspace_id = $1 AND generation = $3 AND position = $2 AND NOT EXISTS \
             (SELECT 1 FROM projections AS other WHERE other.workspace_id = $1 AND other.live)";
    let position = projector::signed(new.position);
    on_tx!(tx, |connection| {
        let mut change = async |statement, live: bool| {
            sqlx::query(statement)
                .bind(new.model.workspace.0)
                .bind(position)
                .bind(new.model.generation)
                .bind(live)
                .execute(&mut *connection)
                .await
        };
        change(RETIRE, false).await?;
        Ok(change(PROMOTE, true).await?.rows_affected() == 1)
    })
}

/// The tables that hold rows of a generation, and the columns by which pieces of one are told.
const TABLES: [(&str, &str); 9] = [
    ("runs", "run_id"),
    ("subjects", "subject_key"),
    ("workers", "worker"),
    ("worker_queues", "worker"),
    ("queues", "queue"),
    ("follow_up_items", "item_key"),
    ("run_counts", "operation"),
    ("item_counts", "environment"),
    ("operation_outcomes", "operation"),
];
/// Rows deleted in one transaction, so that nobody waits long behind it.
const DELETE: usize = 5_000;

/// Takes a generation that is not live out of everybody's reach: who still builds it cannot advance
/// it from here, and it cannot become the live one.
const CONDEMN: &str = "UPDATE projections SET position = -1 \
     WHERE workspace_id = $1 AND generation = $2 AND NOT live";
const FORGET: &str =
    "DELETE FROM projections WHERE workspace_id = $1 AND generation = $2 AND NOT live";

/// Deletes a generation, unless it is live.
async fn drop_generation(store: &Store, model: Model) -> Result<(), StoreError> {
    if !change(store, model, CONDEMN).await? {
        return Ok(());
    }
    for (table, column) in TABLES {
        loop {
            let mut tx = Tx::begin(store, model.workspace).await?;
            // Both names are constants of this file; no text of a caller is in the statement.
            let statement = format!(
                "DELETE FROM {table} WHERE workspace_id = $1 AND generation = $2 AND {column} IN \
                 (SELECT {column} FROM {table} WHERE workspace_id = $1 AND generation = $2 \
                  LIMIT {DELETE})"
            );
            let deleted = on_tx!(&mut tx, |connection| {
                sqlx::query(sqlx::AssertSqlSafe(statement))
                    .bind(model.workspace.0)
                    .bind(model.generation)
                    .execute(connection)
                    .await?
                    .rows_affected()
            });
            tx.commit().await?;
            if deleted == 0 {
                break;
            }
        }
    }
    change(store, model, FORGET).await?;
    Ok(())
}

/// Whether there was something to change.
async fn change(store: &Store, model: Model, statement: &'static str) -> Result<bool, StoreError> {
    let mut tx = Tx::begin(store, model.workspace).await?;
    let changed = on_tx!(&mut tx, |connection| {
        sqlx::query(statement)
            .bind(model.workspace.0)
            .bind(model.generation)
            .execute(connection)
            .await?
            .rows_affected()
    });
    tx.commit().await?;
    Ok(changed > 0)
}

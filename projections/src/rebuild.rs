//! Rebuilding: read models are derived again beside the live ones and take their place.

use std::time::Duration;

use runledger_ledger::store::{Store, StoreError};
use runledger_ledger::words::WorkspaceId;

use crate::ahead::Ahead;
use crate::db::{self, Tx, on_tx};
use crate::follower;
use crate::projections::{Inner, Projections};
use crate::projector::{Checkpoint, ProjectionError};
use crate::tables::Model;

/// Events folded in one transaction: more than of a live page, for which somebody may be waiting.
const PAGE: u32 = 10_000;
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
    pub async fn rebuild(
        &self,
        workspace: WorkspaceId,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<u64, ProjectionError> {
        let position = rebuild(&self.inner, workspace, progress).await?;
        Ok(position)
    }
}

pub(crate) async fn rebuild(
    inner: &Inner,
    workspace: WorkspaceId,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<u64, ProjectionError> {
    let store = inner.ledger.store();
    let generations = Checkpoint::all(store, store, workspace).await?;
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
        let caught_up = next.position == building.position;
        building = next;
        if caught_up && !counted {
            counted = true;
            db::count_rows(store).await?;
        }
        if caught_up && swap(store, &building).await? {
            break;
        }
    }
    // Nobody waiting is no failure.
    let _ = inner.moved.send(workspace);
    tokio::time::sleep(GRACE).await;
    for old in generations.iter().filter(|old| old.live) {
        drop_generation(store, old.model).await?;
    }
    Ok(building.position)
}

/// Makes `new` the live generation, if the live one is not ahead of it.
async fn swap(store: &Store, new: &Checkpoint) -> Result<bool, StoreError> {
    const RETIRE: &str = "UPDATE projections SET live = $4 \
         WHERE workspace_id = $1 AND live AND position <= $2 AND generation <> $3";
    const LIVE: &str = "SELECT count(*) FROM projections WHERE workspace_id = $1 AND live";
    const PROMOTE: &str = "UPDATE projections SET live = $4 \
         WHERE workspace_id = $1 AND generation = $3 AND position = $2";
    let mut tx = Tx::begin(store).await?;
    let position = crate::projector::signed(new.position);
    let swapped = on_tx!(&mut tx, |connection| {
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
        let promoted = change(PROMOTE, true).await;
        let (live,): (i64,) =
            sqlx::query_as(LIVE).bind(new.model.workspace.0).fetch_one(&mut *connection).await?;
        promoted?.rows_affected() == 1 && live == 1
    });
    if swapped {
        tx.commit().await?;
    }
    Ok(swapped)
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

async fn drop_generation(store: &Store, model: Model) -> Result<(), StoreError> {
    for (table, column) in TABLES {
        loop {
            let mut tx = Tx::begin(store).await?;
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
    const FORGET: &str = "DELETE FROM projections WHERE workspace_id = $1 AND generation = $2";
    let mut tx = Tx::begin(store).await?;
    on_tx!(&mut tx, |connection| {
        sqlx::query(FORGET)
            .bind(model.workspace.0)
            .bind(model.generation)
            .execute(connection)
            .await?;
    });
    tx.commit().await
}

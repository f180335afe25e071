//! Writing wakes.

use std::collections::BTreeMap;

use runledger_ledger::store::{StoreError, pieces};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};
use sqlx::QueryBuilder;

use super::{Followed, Wake};
use crate::adapter_health::{self, HealthNote};
use crate::db::{ROWS, Tx, on_tx};
use crate::projections::Projections;
use crate::projector::{ProjectionError, signed};

/// What becomes of a run's wake after a look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescheduled {
    /// Which run.
    pub run_id: RunId,
    /// When its wake was due as it was looked at; none if it had none. A wake that has moved since
    /// stays as it is: somebody asked for another look.
    pub before: Option<Moment>,
    /// Its next wake; none if nobody needs to look again.
    pub after: Option<Wake>,
}

/// A run and when it is due.
type Due = (RunId, Moment);

const ADD: &str = "INSERT INTO reconciler_wakes \
     (workspace_id, run_id, adapter, due_at, attempt, looks) ";
const SOONEST: &str = " ON CONFLICT (workspace_id, run_id) DO UPDATE SET \
     adapter = excluded.adapter, looks = 0, \
     due_at = CASE WHEN reconciler_wakes.due_at < excluded.due_at \
     THEN reconciler_wakes.due_at ELSE excluded.due_at END";
const ASK: &str = "INSERT INTO reconciler_wakes \
     (workspace_id, run_id, adapter, due_at, attempt, looks) VALUES ($1, $2, $3, $4, 0, 0) \
     ON CONFLICT (workspace_id, run_id) DO UPDATE SET \
     adapter = excluded.adapter, due_at = excluded.due_at, attempt = 0, looks = 0";
const FOLLOWED: &str = "INSERT INTO reconciler_cursors \
     (workspace_id, position, watched, swept_at, sweep_dispatched, sweep_run) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id) DO UPDATE SET \
     position = excluded.position, watched = excluded.watched, swept_at = excluded.swept_at, \
     sweep_dispatched = excluded.sweep_dispatched, sweep_run = excluded.sweep_run";

impl Projections {
    /// Has these runs looked at when they are due, or sooner where a wake says so already, and
    /// notes how far the log was followed; both or neither. The runs are by the adapter that they
    /// wake.
    pub async fn wake(
        &self,
        workspace: WorkspaceId,
        due: &BTreeMap<String, BTreeMap<RunId, Moment>>,
        followed: &Followed,
    ) -> Result<(), ProjectionError> {
        let mut tx = Tx::begin(self.store(), workspace).await?;
        for (adapter, runs) in due {
            let wakes: Vec<(RunId, Wake)> = runs
                .iter()
                .map(|(run, due_at)| (*run, Wake { due_at: *due_at, attempt: 0, looks: 0 }))
                .collect();
            add(&mut tx, workspace, adapter, &wakes, SOONEST).await?;
        }
        note_followed(&mut tx, workspace, followed).await?;
        Ok(tx.commit().await?)
    }

    /// Has one run looked at at `due_at`, whatever its wake says.
    pub async fn ask(
        &self,
        workspace: WorkspaceId,
        run: RunId,
        adapter: &str,
        due_at: Moment,
    ) -> Result<(), ProjectionError> {
        let mut tx = Tx::begin(self.store(), workspace).await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(ASK)
                .bind(workspace.0)
                .bind(run.0)
                .bind(adapter)
                .bind(due_at.micros())
                .execute(connection)
                .await?;
        });
        Ok(tx.commit().await?)
    }

    /// Writes what came of a look: when these runs of `adapter` are looked at next, and how sources
    /// answered.
    pub async fn looked(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        runs: &[Rescheduled],
        health: &[HealthNote],
    ) -> Result<(), ProjectionError> {
        let (mut new, mut moved, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for run in runs {
            match (run.before, run.after) {
                (None, None) => {}
                (None, Some(after)) => new.push((run.run_id, after)),
                (Some(before), Some(after)) => moved.push((run.run_id, before, after)),
                (Some(before), None) => done.push((run.run_id, before)),
            }
        }
        let mut tx = Tx::begin(self.store(), workspace).await?;
        add(&mut tx, workspace, adapter, &new, " ON CONFLICT DO NOTHING").await?;
        move_wakes(&mut tx, workspace, &moved).await?;
        remove(&mut tx, workspace, &done).await?;
        adapter_health::note(&mut tx, workspace, health).await?;
        Ok(tx.commit().await?)
    }
}

async fn add(
    tx: &mut Tx,
    workspace: WorkspaceId,
    adapter: &str,
    wakes: &[(RunId, Wake)],
    otherwise: &'static str,
) -> Result<(), StoreError> {
    for piece in pieces(wakes, ROWS) {
        on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(ADD);
            query.push_values(piece, |mut values, (run, wake)| {
                values
                    .push_bind(workspace.0)
                    .push_bind(run.0)
                    .push_bind(adapter)
                    .push_bind(wake.due_at.micros())
                    .push_bind(i64::from(wake.attempt))
                    .push_bind(i64::from(wake.looks));
            });
            query.push(otherwise).build().execute(connection).await?;
        });
    }
    Ok(())
}

async fn move_wakes(
    tx: &mut Tx,
    workspace: WorkspaceId,
    wakes: &[(RunId, Moment, Wake)],
) -> Result<(), StoreError> {
    for piece in pieces(wakes, ROWS) {
        on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(
                "UPDATE reconciler_wakes SET due_at = v.column3, attempt = v.column4, \
                 looks = v.column5 FROM (",
            );
            query.push_values(piece, |mut values, (run, before, wake)| {
                values
                    .push_bind(run.0)
                    .push_bind(before.micros())
                    .push_bind(wake.due_at.micros())
                    .push_bind(i64::from(wake.attempt))
                    .push_bind(i64::from(wake.looks));
            });
            query.push(") AS v WHERE reconciler_wakes.workspace_id = ").push_bind(workspace.0);
            query.push(" AND reconciler_wakes.run_id = v.column1");
            query.push(" AND reconciler_wakes.due_at = v.column2");
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

async fn remove(tx: &mut Tx, workspace: WorkspaceId, wakes: &[Due]) -> Result<(), StoreError> {
    for piece in pieces(wakes, ROWS) {
        on_tx!(&mut *tx, |connection| {
            let mut query =
                QueryBuilder::<Db>::new("DELETE FROM reconciler_wakes WHERE workspace_id = ");
            query.push_bind(workspace.0).push(" AND (run_id, due_at) IN (");
            query.push_values(piece, |mut values, (run, before)| {
                values.push_bind(run.0).push_bind(before.micros());
            });
            query.push(")").build().execute(connection).await?;
        });
    }
    Ok(())
}

async fn note_followed(
    tx: &mut Tx,
    workspace: WorkspaceId,
    followed: &Followed,
) -> Result<(), StoreError> {
    let watched = serde_json::to_string(&followed.watched)
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let round = followed.round;
    on_tx!(&mut *tx, |connection| {
        sqlx::query(FOLLOWED)
            .bind(workspace.0)
            .bind(signed(followed.position))
            .bind(watched)
            .bind(round.swept_at.unwrap_or(Moment::EPOCH).micros())
            .bind(round.after.map(|(at, _)| at.micros()))
            .bind(round.after.map(|(_, run)| run.0))
            .execute(connection)
            .await?;
    });
    Ok(())
}

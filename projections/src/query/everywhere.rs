//! Several workspaces at a glance: one statement for each kind of number and each of them.

use std::collections::BTreeMap;

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use uuid::Uuid;

use super::counts::{Counts, Kind, count, word};
use super::statement::Statement;
use crate::db::Tx;
use crate::projections::Projections;
use crate::rules::actionability::Actionability;
use crate::rules::activity::Activity;

/// A workspace among others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceStanding {
    /// How many runs and things to do there are in it.
    pub counts: Counts,
    /// Events of its log that were signed last, and when.
    pub signed: Option<(u64, Moment)>,
}

impl WorkspaceStanding {
    /// Its runs that have not ended.
    pub fn activity(&self) -> Activity {
        let Counts { active_fresh, active_stale, active_unknown, .. } = self.counts;
        Activity { fresh: active_fresh, stale: active_stale, unknown: active_unknown }
    }
}

const RUNS: &str = "SELECT c.workspace_id, c.status, c.outcome, c.actionability, \
     CAST(sum(c.runs) AS bigint) FROM projections AS p JOIN run_counts AS c \
     ON c.workspace_id = p.workspace_id AND c.generation = p.generation \
     WHERE p.live AND c.runs > 0 AND p.workspace_id IN ";
const BY_KIND: &str = " GROUP BY c.workspace_id, c.status, c.outcome, c.actionability";
const OVERDUE: &str = "SELECT p.workspace_id, (SELECT count(*) FROM runs AS r";
const ACTIVE: &str = " WHERE r.workspace_id = p.workspace_id AND r.generation = p.generation AND r.status < 2 \
     AND r.deadline ";
const UNKNOWN: &str = "), (SELECT count(*) FROM runs AS r";
const ITEMS: &str = "SELECT c.workspace_id, c.actionability, c.items, \
     (SELECT i.first_settled_at FROM follow_up_items AS i WHERE i.workspace_id = c.workspace_id \
      AND i.generation = c.generation AND i.environment = c.environment \
      AND i.actionability = c.actionability ORDER BY i.first_settled_at LIMIT 1) \
     FROM projections AS p JOIN item_counts AS c \
     ON c.workspace_id = p.workspace_id AND c.generation = p.generation \
     WHERE p.live AND c.items > 0 AND p.workspace_id IN ";
const SIGNED: &str = "SELECT c.workspace_id, max(c.size), max(c.signed_at) FROM checkpoints AS c \
     WHERE c.workspace_id IN ";

impl Projections {
    /// These workspaces at a glance, as they are now. Four statements for each.
    pub async fn at_a_glance(
        &self,
        workspaces: &[WorkspaceId],
    ) -> Result<BTreeMap<WorkspaceId, WorkspaceStanding>, StoreError> {
        let mut all: BTreeMap<WorkspaceId, WorkspaceStanding> =
            workspaces.iter().map(|workspace| (*workspace, Default::default())).collect();
        let now = self.ledger().now();
        for workspace in workspaces {
            // No transaction sees the runs of two.
            let mut tx = Tx::read(self.store(), *workspace).await?;
            let ids = [workspace.0];
            runs(&mut tx, &ids, &mut all).await?;
            active(&mut tx, &ids, now, &mut all).await?;
            items(&mut tx, &ids, &mut all).await?;
            signed(&mut tx, &ids, &mut all).await?;
        }
        Ok(all)
    }
}

type All = BTreeMap<WorkspaceId, WorkspaceStanding>;

async fn runs(tx: &mut Tx, ids: &[Uuid], all: &mut All) -> Result<(), StoreError> {
    let mut statement = Statement::new(RUNS);
    statement.list(ids).push(BY_KIND);
    let rows: Vec<(Uuid, i16, i16, i16, i64)> = statement.fetch(tx).await?;
    for (workspace, status, outcome, actionability, runs) in rows {
        if let Some(one) = all.get_mut(&WorkspaceId(workspace)) {
            one.counts.add_runs(Kind::of(status, outcome, actionability)?, count(runs));
        }
    }
    Ok(())
}

/// What is active is counted in an index that holds nothing else.
async fn active(tx: &mut Tx, ids: &[Uuid], now: Moment, all: &mut All) -> Result<(), StoreError> {
    // Without statistics SQLite might walk through the index of some list.
    let index = if let Tx::Sqlite(_) = tx { " INDEXED BY runs_active" } else { "" };
    let mut statement = Statement::new(OVERDUE);
    statement.push(index).push(ACTIVE).push("<= ").bind(now.micros());
    statement.push(UNKNOWN).push(index).push(ACTIVE);
    statement.push("IS NULL) FROM projections AS p WHERE p.live AND p.workspace_id IN ");
    statement.list(ids);
    let rows: Vec<(Uuid, i64, i64)> = statement.fetch(tx).await?;
    for (workspace, overdue, unknown) in rows {
        if let Some(one) = all.get_mut(&WorkspaceId(workspace)) {
            one.counts.set_active(count(overdue), count(unknown));
        }
    }
    Ok(())
}

async fn items(tx: &mut Tx, ids: &[Uuid], all: &mut All) -> Result<(), StoreError> {
    let mut statement = Statement::new(ITEMS);
    statement.list(ids);
    let rows: Vec<(Uuid, i16, i64, Option<i64>)> = statement.fetch(tx).await?;
    for (workspace, actionability, items, oldest) in rows {
        let actionability = word(Actionability::ALL, actionability)?;
        if let Some(one) = all.get_mut(&WorkspaceId(workspace)) {
            one.counts.add_items(actionability, count(items), oldest.map(Moment::from_micros));
        }
    }
    Ok(())
}

async fn signed(tx: &mut Tx, ids: &[Uuid], all: &mut All) -> Result<(), StoreError> {
    let mut statement = Statement::new(SIGNED);
    statement.list(ids).push(" GROUP BY c.workspace_id");
    let rows: Vec<(Uuid, i64, i64)> = statement.fetch(tx).await?;
    for (workspace, size, signed_at) in rows {
        if let Some(one) = all.get_mut(&WorkspaceId(workspace)) {
            one.signed = Some((count(size), Moment::from_micros(signed_at)));
        }
    }
    Ok(())
}

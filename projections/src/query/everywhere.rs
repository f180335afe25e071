//! Several workspaces at a glance: one statement for each kind of number, however many they are.
//! PostgreSQL shows no transaction the rows of two, so there a function goes from one to the next.

use std::collections::BTreeMap;

use runledger_ledger::store::{Scope, StoreError};
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

// For SQLite. What PostgreSQL is asked stands in the ledger's `store::functions`.
const RUNS: &str = "SELECT c.workspace_id, c.status, c.outcome, c.actionability, \
     CAST(sum(c.runs) AS bigint) FROM projections AS p JOIN run_counts AS c \
     ON c.workspace_id = p.workspace_id AND c.generation = p.generation \
     WHERE p.live AND c.runs > 0 AND p.workspace_id IN ";
const BY_KIND: &str = " GROUP BY c.workspace_id, c.status, c.outcome, c.actionability";
// Without statistics SQLite might walk through the index of some list.
const OVERDUE: &str =
    "SELECT p.workspace_id, (SELECT count(*) FROM runs AS r INDEXED BY runs_active";
const ACTIVE: &str = " WHERE r.workspace_id = p.workspace_id AND r.generation = p.generation AND r.status < 2 \
     AND r.deadline ";
const UNKNOWN: &str = "), (SELECT count(*) FROM runs AS r INDEXED BY runs_active";
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
    /// These workspaces at a glance, as they are now. Four statements.
    pub async fn at_a_glance(
        &self,
        workspaces: &[WorkspaceId],
    ) -> Result<BTreeMap<WorkspaceId, WorkspaceStanding>, StoreError> {
        let mut all: BTreeMap<WorkspaceId, WorkspaceStanding> =
            workspaces.iter().map(|workspace| (*workspace, Default::default())).collect();
        let ids: Vec<Uuid> = workspaces.iter().map(|workspace| workspace.0).collect();
        if ids.is_empty() {
            return Ok(all);
        }
        let mut tx = Tx::read_in(self.store(), Scope::Service).await?;
        runs(&mut tx, &ids, &mut all).await?;
        active(&mut tx, &ids, self.ledger().now(), &mut all).await?;
        items(&mut tx, &ids, &mut all).await?;
        signed(&mut tx, &ids, &mut all).await?;
        Ok(all)
    }
}

type All = BTreeMap<WorkspaceId, WorkspaceStanding>;

/// A call of a function of PostgreSQL that takes the workspaces and nothing else.
fn of_each(call: &'static str, ids: &[Uuid]) -> Statement {
    let mut statement = Statement::new(call);
    statement.array(ids).push(")");
    statement
}

async fn runs(tx: &mut Tx, ids: &[Uuid], all: &mut All) -> Result<(), StoreError> {
    let statement = match tx {
        Tx::Postgres(_) => of_each("SELECT * FROM runs_at_a_glance(", ids),
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(RUNS);
            statement.list(ids).push(BY_KIND);
            statement
        }
    };
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
    let statement = match tx {
        Tx::Postgres(_) => {
            let mut statement = Statement::new("SELECT * FROM active_at_a_glance(");
            statement.array(ids).push(", ").bind(now.micros()).push(")");
            statement
        }
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(OVERDUE);
            statement.push(ACTIVE).push("<= ").bind(now.micros()).push(UNKNOWN).push(ACTIVE);
            statement.push("IS NULL) FROM projections AS p WHERE p.live AND p.workspace_id IN ");
            statement.list(ids);
            statement
        }
    };
    let rows: Vec<(Uuid, i64, i64)> = statement.fetch(tx).await?;
    for (workspace, overdue, unknown) in rows {
        if let Some(one) = all.get_mut(&WorkspaceId(workspace)) {
            one.counts.set_active(count(overdue), count(unknown));
        }
    }
    Ok(())
}

async fn items(tx: &mut Tx, ids: &[Uuid], all: &mut All) -> Result<(), StoreError> {
    let statement = match tx {
        Tx::Postgres(_) => of_each("SELECT * FROM items_at_a_glance(", ids),
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(ITEMS);
            statement.list(ids);
            statement
        }
    };
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
    let statement = match tx {
        Tx::Postgres(_) => of_each("SELECT * FROM signed_at_a_glance(", ids),
        Tx::Sqlite(_) => {
            let mut statement = Statement::new(SIGNED);
            statement.list(ids).push(" GROUP BY c.workspace_id");
            statement
        }
    };
    let rows: Vec<(Uuid, i64, i64)> = statement.fetch(tx).await?;
    for (workspace, size, signed_at) in rows {
        if let Some(one) = all.get_mut(&WorkspaceId(workspace)) {
            one.signed = Some((count(size), Moment::from_micros(signed_at)));
        }
    }
    Ok(())
}

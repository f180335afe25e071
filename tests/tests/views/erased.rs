//! What is erased changes no verdict: neither on the run that it was said of, nor on another one.

use std::collections::BTreeSet;

use proptest::prelude::*;
use runledger_ledger::erasure::{self, What};
use runledger_ledger::event::{Actor, AggregateType, Recorded};
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::words::{Note, RunId, Status};
use runledger_projections::rules::standing::Standing;
use runledger_projections::{AsOf, PageRequest, RunFilter, View};
use runledger_tests::database::{create_role, superuser};
use runledger_tests::superuser_of;
use runledger_tests::world::{World, name};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::properties::hold_few;
use crate::story::{Story, story};

#[test]
fn an_erasure_changes_no_verdict_on_sqlite() {
    hold_few(false, 40, &(story(), any::<u64>()), an_erasure_changes_no_verdict);
}

#[test]
fn an_erasure_changes_no_verdict_on_postgresql() {
    hold_few(true, 4, &(story(), any::<u64>()), an_erasure_changes_no_verdict);
}

async fn an_erasure_changes_no_verdict(world: &World, (story, which): (Story, u64)) {
    story.happen(world).await;
    let (store, workspace) = (world.ledger.store(), world.workspace);
    let size = store.head(workspace).await.unwrap().unwrap().size();
    let moment = AsOf::Position(size - 1);
    let standings = standings(&world.view_of(moment).await).await;
    let ended: BTreeSet<RunId> = standings
        .iter()
        .filter(|standing| standing.recorded.status == Status::Completed)
        .map(|standing| standing.run_id)
        .collect();
    // Any of what may be erased: a part of a run as well as all of it.
    let mut positions = BTreeSet::new();
    for stored in store.log(workspace, 0, size, 10_000).await.unwrap() {
        let event = Recorded::decode(&stored.body).unwrap();
        let may = match event.stream.kind {
            AggregateType::Run => event.stream.run_id().is_some_and(|run| ended.contains(&run)),
            AggregateType::Subject | AggregateType::Worker => true,
            AggregateType::Workspace | AggregateType::Erasure | AggregateType::Archive => false,
        };
        if may && which >> (event.position % 64) & 1 == 1 {
            positions.insert(event.position);
        }
    }
    if positions.is_empty() {
        return;
    }
    let count = positions.len();
    erase(world, positions).await;
    let after = self::standings(&world.view_of(moment).await).await;
    let verdicts = |standings: &[Standing]| standings.iter().map(verdict).collect::<Vec<_>>();
    assert_eq!(verdicts(&after), verdicts(&standings));
    let log = runledger_ledger::audit::audit(store, workspace, &|_, _| {}).await.unwrap().unwrap();
    assert!(log.flaws.is_empty() && log.erased.len() == count, "{:?}", log.flaws);
}

async fn standings(view: &View) -> Vec<Standing> {
    view.runs(&RunFilter::default(), &PageRequest::first(500)).await.unwrap().items
}

/// What is true of a run, without what was said of it.
fn verdict(standing: &Standing) -> Value {
    let (recorded, now) = (&standing.recorded, &standing.now);
    json!({
        "run": standing.run_id,
        "status": recorded.status, "outcome": recorded.outcome,
        "operation": recorded.operation, "subject": recorded.subject,
        "dispatched_at": recorded.dispatched_at, "settled_at": recorded.settled_at,
        "fingerprint": recorded.fingerprint,
        "freshness": now.freshness, "deadline": now.deadline, "next_change": now.next_change,
        "queue": now.queue.as_ref().map(|queue| format!("{queue:?}")),
        "actionability": now.actionability.status, "reason": now.actionability.reason,
        "follow_up": now.follow_up,
    })
}

async fn erase(world: &World, positions: BTreeSet<u64>) {
    let (ledger, workspace) = (&world.ledger, world.workspace);
    let actor = |id: &str| Actor { id: name(id), kind: name("user") };
    let why = || (Note::new("a test").unwrap(), Note::new("none").unwrap());
    let (anna, bert) = (actor("anna"), actor("bert"));
    let what = What::Positions(positions);
    let asked = erasure::request(ledger, workspace, &what, why(), &anna).await.unwrap();
    erasure::approve(ledger, workspace, asked.id, Note::new("checked").unwrap(), &bert)
        .await
        .unwrap();
    let ordered = erasure::order(ledger, workspace, asked.id, &anna).await.unwrap();
    let may = eraser(ledger.store()).await;
    erasure::empty(&may, workspace, &ordered).await.unwrap();
    erasure::complete(ledger, workspace, asked.id, &anna).await.unwrap();
}

/// Somebody who may erase: on PostgreSQL not the service.
async fn eraser(store: &Store) -> Store {
    let Some(pool) = store.postgres() else { return store.clone() };
    let mut admin = superuser_of(pool).await;
    let database = pool.connect_options().get_database().unwrap_or_default().to_owned();
    let role = create_role(&superuser(&format!("postgres://u@h/{database}"))).await.unwrap();
    let grant = AssertSqlSafe(format!("GRANT runledger_eraser TO {}", role.name));
    admin.execute(sqlx::raw_sql(grant)).await.unwrap();
    Store::open(&StoreUrl::Postgres(role.url)).await.unwrap()
}

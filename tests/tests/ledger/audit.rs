//! Checks a whole log against what DESIGN section 2 says of every log.

use std::collections::HashMap;

use runledger_ledger::event::{AggregateType, Recorded};
use runledger_ledger::fact::EventKind;
use runledger_ledger::merkle::{Hash, leaf_hash, node_hash};
use runledger_ledger::run::{ReservationKey, Run};
use runledger_ledger::store::Store;
use runledger_ledger::submission::{Answer, Receipt};
use runledger_ledger::tree;
use runledger_ledger::words::{RunId, WorkspaceId};
use runledger_tests::superuser_of;
use uuid::Uuid;

/// One row of `events`, every column as it lies in the database.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) workspace_id: Uuid,
    pub(crate) position: i64,
    pub(crate) aggregate_type: i16,
    pub(crate) aggregate_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) event_type: i16,
    pub(crate) recorded_at: i64,
    pub(crate) body: Vec<u8>,
    pub(crate) leaf_hash: Vec<u8>,
    pub(crate) source: Option<String>,
    pub(crate) event_id: Option<String>,
}

impl Row {
    pub(crate) fn event(&self) -> Recorded {
        Recorded::decode(&self.body).unwrap()
    }
}

pub(crate) async fn rows(store: &Store, workspace: WorkspaceId) -> Vec<Row> {
    const ROWS: &str = "SELECT workspace_id, position, aggregate_type, aggregate_id, sequence, \
        event_type, recorded_at, body, leaf_hash, source, event_id FROM events \
        WHERE workspace_id = $1 ORDER BY position";
    match (store.postgres(), store.sqlite()) {
        (Some(pool), _) => {
            let mut connection = superuser_of(pool).await;
            sqlx::query_as(ROWS).bind(workspace.0).fetch_all(&mut connection).await.unwrap()
        }
        (_, Some((pool, _))) => {
            sqlx::query_as(ROWS).bind(workspace.0).fetch_all(pool).await.unwrap()
        }
        _ => unreachable!("a store is one of the two"),
    }
}

/// Checks the whole log of a workspace, and returns it.
pub(crate) async fn audit(store: &Store, workspace: WorkspaceId) -> Vec<Row> {
    let rows = rows(store, workspace).await;
    let mut last_recorded_at = 0;
    let mut sequences: HashMap<(i16, Uuid), i64> = HashMap::new();
    for (position, row) in (0..).zip(&rows) {
        assert_eq!(row.position, position, "positions have no gap");
        assert!(row.recorded_at >= last_recorded_at, "recorded_at decreases at {position}");
        last_recorded_at = row.recorded_at;
        let sequence = sequences.entry((row.aggregate_type, row.aggregate_id)).or_default();
        *sequence += 1;
        assert_eq!(row.sequence, *sequence, "streams have no gap");
        check_body(row);
    }
    let leaves: Vec<Hash> = rows.iter().map(|row| leaf_hash(&row.body)).collect();
    let head = store.head(workspace).await.unwrap().unwrap();
    assert_eq!(head.size(), rows.len() as u64);
    assert_eq!(head.frontier.root(), root(&leaves), "the head commits to the whole log");
    assert_eq!(head.last_recorded_at.micros(), last_recorded_at);
    check_tree(store, workspace, &leaves).await;
    check_reservations(store, workspace, &rows).await;
    let agree = runledger_ledger::correlation::agree(store, workspace).await.unwrap();
    assert!(agree, "the sum of what external ids name is that of the log");
    let claims = runledger_ledger::correlation::check(store, workspace).await.unwrap();
    assert_eq!(claims, [], "external ids name what the log says");
    rows
}

/// Every finished tile has its hash, and what is stored leads to the root.
async fn check_tree(store: &Store, workspace: WorkspaceId, leaves: &[Hash]) {
    let size = leaves.len() as u64;
    let stored = store.hashes(workspace, 1, 0..u64::MAX >> 1).await.unwrap();
    let derived = leaves.as_chunks::<256>().0.iter().map(|leaves| root(leaves));
    let derived: Vec<(u64, Hash)> = (0..).zip(derived).collect();
    assert_eq!(stored, derived, "the hashes of finished tiles");
    let from_rows = tree::root(store, workspace, size).await.unwrap();
    assert_eq!(from_rows, root(leaves), "the stored hashes lead to the root");
}

/// A row says nothing but what its body says, and the body is canonical.
fn check_body(row: &Row) {
    assert_eq!(row.leaf_hash, leaf_hash(&row.body), "the hash is that of the bytes");
    let json: serde_json::Value = serde_json::from_slice(&row.body).unwrap();
    let again = serde_json_canonicalizer::to_vec(&json).unwrap();
    assert_eq!(again, row.body, "the bytes are canonical");
    assert_eq!(json["workspace"], row.workspace_id.to_string());
    assert_eq!(json["position"], row.position);
    assert_eq!(json["sequence"], row.sequence);
    assert_eq!(json["recorded_at"], row.recorded_at);
    assert_eq!(json["aggregate_id"], row.aggregate_id.to_string());
    let kind = AggregateType::from_number(row.aggregate_type).unwrap();
    assert_eq!(json["aggregate_type"], kind.as_str());
    let event = row.event();
    assert_eq!(event.fact.event.event_type().number(), row.event_type);
    assert_eq!(json["type"], event.fact.event.event_type().as_str());
    assert_eq!(json["event_id"].as_str(), row.event_id.as_deref());
    if row.event_id.is_some() {
        assert_eq!(json["source"].as_str().unwrap_or("unnamed"), row.source.as_deref().unwrap());
    }
    assert_eq!(json["nonce"].as_str().map(str::len), Some(32));
}

/// RFC 6962 section 2.1, word for word.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => panic!("no log of a workspace is empty"),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

/// Nobody ever held a key while another active run held it, and the table says who holds it now.
async fn check_reservations(store: &Store, workspace: WorkspaceId, rows: &[Row]) {
    let mut runs: HashMap<RunId, Run> = HashMap::new();
    let mut holders: HashMap<ReservationKey, RunId> = HashMap::new();
    let mut keys = Vec::new();
    for row in rows {
        let event = row.event();
        let Some(id) = event.stream.run_id() else { continue };
        let run = runs.entry(id).or_default();
        let fact = event.fact;
        let runledger_ledger::event::AnyEvent::Run(event) = fact.event else { panic!("{row:?}") };
        let was_active = run.is_active();
        run.apply(&runledger_ledger::fact::Fact {
            occurred_at: fact.occurred_at,
            recorded_at: fact.recorded_at,
            event,
        });
        let Some(key) = ReservationKey::of_run(run) else { continue };
        match (was_active, run.is_active()) {
            (false, true) => {
                keys.push(key);
                let other = holders.insert(key, id);
                assert_eq!(other, None, "two active runs hold one key at {}", row.position);
            }
            (true, false) => assert_eq!(holders.remove(&key), Some(id)),
            _ => {}
        }
    }
    keys.sort_unstable();
    keys.dedup();
    let stored = store.reservations(workspace, &keys).await.unwrap();
    assert_eq!(stored.into_iter().collect::<HashMap<_, _>>(), holders);
}

/// Every receipt is of the event at its position, every event belongs to one receipt, and nothing
/// else is there but the first `before` events.
pub(crate) fn every_event_has_one_receipt(rows: &[Row], before: u64, answers: &[Answer]) {
    let receipts = answers.iter().filter_map(|answer| match answer {
        Answer::Recorded(receipt) => Some(receipt),
        _ => None,
    });
    let mut owners: Vec<Option<&Receipt>> = vec![None; rows.len()];
    for receipt in receipts {
        let row = &rows[usize::try_from(receipt.position).unwrap()];
        assert_eq!(row.leaf_hash, receipt.leaf_hash, "lost answer at {}", receipt.position);
        assert_eq!(row.event_type, receipt.event_type.number());
        assert_eq!(row.recorded_at, receipt.recorded_at.micros());
        for position in receipt.first_position..=receipt.position {
            let owner = owners[usize::try_from(position).unwrap()].replace(receipt);
            assert_eq!(owner, None, "two receipts for {position}");
        }
    }
    let unowned = owners.iter().skip(usize::try_from(before).unwrap());
    assert_eq!(unowned.filter(|owner| owner.is_none()).count(), 0, "an event without a receipt");
}

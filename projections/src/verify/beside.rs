//! What the database keeps beside the bytes of the log: rows behind its end, what tells a repeated
//! report from a reused id, and which active run holds a key alone.

use std::collections::BTreeMap;

use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::fact::Fact;
use runledger_ledger::run::{ReservationKey, Run};
use runledger_ledger::store::{Store, StoreError, StoredEvent};
use runledger_ledger::words::WorkspaceId;
use uuid::Uuid;

use super::{Difference, MOST, Verification};
use crate::as_of::Replayed;
use crate::db::Tx;
use crate::projector::signed;
use crate::query::Statement;
use crate::tables::{Which, page_of_runs};

/// Active runs that are looked at in one go.
const PAGE: i64 = 512;

/// Events in the log of a workspace, as its head says.
pub(super) async fn size(tx: &mut Tx, workspace: WorkspaceId) -> Result<u64, StoreError> {
    let mut statement = Statement::new("SELECT size FROM heads WHERE workspace_id = ");
    statement.bind(workspace.0);
    let rows: Vec<(i64,)> = statement.fetch(tx).await?;
    Ok(rows.first().map_or(0, |(size,)| u64::try_from(*size).unwrap_or_default()))
}

/// Names the rows of `events` that no reader of the log sees, and those whose content hash cannot
/// be one. What it is the hash of, the log does not keep: whether it is the right one is not seen.
pub(super) async fn events(
    tx: &mut Tx,
    workspace: WorkspaceId,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let size = size(tx, workspace).await?;
    let mut behind = Statement::new("SELECT position FROM events WHERE workspace_id = ");
    behind.bind(workspace.0).push(" AND (position < 0 OR position >= ").bind(signed(size));
    behind.push(") ORDER BY position LIMIT ").bind(signed(MOST as u64));
    for (position,) in behind.fetch::<(i64,)>(tx).await? {
        let problem = format!("it is no part of the log, whose head counts {size} events");
        found.add(Difference::Log { position: u64::try_from(position).ok(), problem });
    }
    let mut hashes = Statement::new("SELECT position FROM events WHERE workspace_id = ");
    hashes.bind(workspace.0);
    hashes
        .push(" AND ((event_id IS NULL) <> (content_hash IS NULL) OR length(content_hash) <> 32)");
    hashes.push(" ORDER BY position LIMIT ").bind(signed(MOST as u64));
    for (position,) in hashes.fetch::<(i64,)>(tx).await? {
        let problem =
            "the column content_hash holds no hash, or is there without an id, or missing \
                       beside one"
                .to_owned();
        found.add(Difference::Log { position: u64::try_from(position).ok(), problem });
    }
    Ok(())
}

/// Compares the reservations with those that the active runs of `derived` hold. Both are of one
/// moment of the log.
pub(super) async fn reservations(
    store: &Store,
    tx: &mut Tx,
    derived: &Replayed,
    found: &mut Verification,
) -> Result<u64, StoreError> {
    let held = held(store, tx, derived).await?;
    let mut statement =
        Statement::new("SELECT key, run_id FROM reservations WHERE workspace_id = ");
    statement.bind(derived.checkpoint.model.workspace.0).push(" ORDER BY key");
    let stored: BTreeMap<Vec<u8>, Uuid> = statement.fetch(tx).await?.into_iter().collect();
    let keys = stored.keys().chain(held.keys().filter(|key| !stored.contains_key(*key)));
    for key in keys {
        let (stored, derived) = (stored.get(key), held.get(key));
        if stored == derived {
            continue;
        }
        let column = (stored.is_some() && derived.is_some()).then(|| "run_id".to_owned());
        found.add(Difference::Row {
            table: "reservations",
            row: format!("key={}", hex::encode(key)),
            column,
            stored: stored.map(Uuid::to_string),
            derived: derived.map(Uuid::to_string),
        });
    }
    Ok(stored.len() as u64)
}

/// The key that each active run holds: the one that its dispatch took. What it is named later does
/// not change that.
async fn held(
    store: &Store,
    tx: &mut Tx,
    derived: &Replayed,
) -> Result<BTreeMap<Vec<u8>, Uuid>, StoreError> {
    let model = derived.checkpoint.model;
    let mut held = BTreeMap::new();
    let mut after = None;
    loop {
        let page = {
            let mut scratch = Tx::read(&derived.store, model.workspace).await?;
            page_of_runs(&mut scratch, model, Which::Active, after, PAGE).await?
        };
        let Some(last) = page.last() else { return Ok(held) };
        after = Some((last.dispatched_at, last.run_id));
        let mut dispatches: Vec<i64> = Vec::new();
        for row in &page {
            if row.run()?.unique.is_some() {
                dispatches.push(row.first_position);
            }
        }
        if dispatches.is_empty() {
            continue;
        }
        let mut statement = Statement::new(
            "SELECT position, body, leaf_hash, recorded_at FROM events WHERE workspace_id = ",
        );
        statement.bind(model.workspace.0).push(" AND position IN ").list(&dispatches);
        let events = statement.fetch::<StoredEvent>(tx).await?;
        for event in store.bring_back(model.workspace, events).await? {
            let recorded = Recorded::decode(&event.body)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            held.extend(taken(&recorded));
        }
    }
}

/// The key that this event takes, if it is a dispatch that asked for one.
fn taken(dispatch: &Recorded) -> Option<(Vec<u8>, Uuid)> {
    let Fact { occurred_at, recorded_at, event: AnyEvent::Run(event) } = &dispatch.fact else {
        return None;
    };
    let fact = Fact { occurred_at: *occurred_at, recorded_at: *recorded_at, event: event.clone() };
    let mut run = Run::default();
    run.apply(&fact);
    Some((ReservationKey::of_run(&run)?.0.to_vec(), dispatch.stream.id))
}

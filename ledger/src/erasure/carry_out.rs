//! How an erasure is carried out: first the log names every body and its tombstone, then the bodies
//! give way. So the database can refuse every other change, and a crash in between leaves nothing
//! that cannot be gone on with.

use std::collections::BTreeSet;

use runledger_proof::erasure::digest;
use uuid::Uuid;

use super::steps::{PAGE, note};
use super::{
    Body, Erasure, ErasureError, ErasureEvent, ErasureState, Executed, PART, load, tombstone,
};
use crate::archive::archive_of;
use crate::event::{Actor, Stream};
use crate::ledger::Ledger;
use crate::store::{Store, StoredEvent};
use crate::words::WorkspaceId;

/// Has the log name every body that gives way, and its tombstone. What it names already stays.
///
/// # Errors
/// If it is not approved, or its time was over before it began.
pub async fn order(
    ledger: &Ledger,
    workspace: WorkspaceId,
    id: Uuid,
    actor: &Actor,
) -> Result<Erasure, ErasureError> {
    let store = ledger.store();
    let erasure = load(store, workspace, id).await?;
    match erasure.state(ledger.now()) {
        ErasureState::Requested => return Err(ErasureError::NotApproved),
        ErasureState::Expired => return Err(ErasureError::Expired),
        _ if erasure.is_ordered() => return Ok(erasure),
        _ => {}
    }
    is_alone(store, workspace, id).await?;
    let mut wanted = positions(store, workspace, &erasure).await?;
    for body in erasure.parts.iter().flat_map(|part| &part.bodies) {
        wanted.remove(&body.position);
    }
    let wanted: Vec<u64> = wanted.into_iter().collect();
    let pieces: Vec<&[u64]> =
        if wanted.is_empty() { vec![&[]] } else { wanted.chunks(PART).collect() };
    let first = erasure.parts.len();
    for (place, piece) in pieces.iter().enumerate() {
        let part = (first + place) as u64 + 1;
        let mut bodies = Vec::with_capacity(piece.len());
        for position in *piece {
            let stored = event(store, workspace, *position).await?;
            let instead = tombstone(&stored.body, id, part, erasure.requested.subject);
            let instead = instead.map_err(|error| ErasureError::NoTombstone(*position, error))?;
            bodies.push(Body { position: *position, tombstone: hex::encode(digest(&instead)) });
        }
        let last = place + 1 == pieces.len();
        let executed = ErasureEvent::Executed(Executed { bodies, last, part });
        let events = erasure.events + place as u64;
        note(ledger, workspace, (id, events), executed, actor).await?;
    }
    load(store, workspace, id).await
}

/// Puts the tombstones in their places, part by part, each in one transaction. `store` is connected
/// as somebody who may. What is done already stays.
///
/// # Errors
/// [`ErasureError::NotHere`] if this user may not; [`ErasureError::Other`] if an event is not what
/// was ordered to be erased.
pub async fn empty(
    store: &Store,
    workspace: WorkspaceId,
    erasure: &Erasure,
) -> Result<(), ErasureError> {
    if !store.may_erase().await? {
        return Err(ErasureError::NotHere);
    }
    for part in &erasure.parts {
        let mut instead = Vec::new();
        for body in &part.bodies {
            let stored = event(store, workspace, body.position).await?;
            if is_done(body, &stored) {
                continue;
            }
            let subject = erasure.requested.subject;
            let new = tombstone(&stored.body, erasure.id, part.part, subject)
                .map_err(|error| ErasureError::NoTombstone(body.position, error))?;
            if hex::encode(digest(&new)) != body.tombstone {
                return Err(ErasureError::Other(body.position));
            }
            instead.push((body.position, new));
        }
        store.put_tombstones(workspace, &instead).await?;
    }
    Ok(())
}

/// Whether every body that an erasure names is a tombstone.
///
/// # Errors
/// When the database fails.
pub async fn is_emptied(
    store: &Store,
    workspace: WorkspaceId,
    erasure: &Erasure,
) -> Result<bool, ErasureError> {
    for body in erasure.parts.iter().flat_map(|part| &part.bodies) {
        let stored = event(store, workspace, body.position).await?;
        if !is_done(body, &stored) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether an event is the tombstone that was ordered.
fn is_done(body: &Body, stored: &StoredEvent) -> bool {
    hex::encode(digest(&stored.body)) == body.tombstone
}

/// One at a time: each finds what the one before it has left.
async fn is_alone(store: &Store, workspace: WorkspaceId, id: Uuid) -> Result<(), ErasureError> {
    for other in store.erasures(workspace, u32::MAX).await? {
        if other != id {
            let other = load(store, workspace, other).await?;
            if !other.parts.is_empty() && other.completed_at.is_none() {
                return Err(ErasureError::Another(other.id));
            }
        }
    }
    Ok(())
}

async fn positions(
    store: &Store,
    workspace: WorkspaceId,
    erasure: &Erasure,
) -> Result<BTreeSet<u64>, ErasureError> {
    let mut positions: BTreeSet<u64> = erasure.requested.positions.iter().copied().collect();
    for named in &erasure.requested.streams {
        let stream = Stream::from(*named);
        let mut after = 0;
        loop {
            // The sequences of a stream have no gaps.
            let page = store.stream(workspace, stream, after, PAGE).await?;
            positions.extend(page.iter().map(|event| event.position));
            after += page.len() as u64;
            if page.len() < PAGE as usize {
                break;
            }
        }
    }
    Ok(positions)
}

async fn event(
    store: &Store,
    workspace: WorkspaceId,
    position: u64,
) -> Result<StoredEvent, ErasureError> {
    // As it is kept: what is in an archive would stay there.
    let found = store.log_as_kept(workspace, position, position.saturating_add(1), 1).await?;
    let found = found.into_iter().next().ok_or(ErasureError::NoEvent(position))?;
    match archive_of(&found.body) {
        Some(archive) => Err(ErasureError::Archived(position, archive)),
        None => Ok(found),
    }
}

//! Proofs about a log, made from what is stored: leaf hashes, and the hashes of finished tiles.
//!
//! A proof reads one range of hashes for each tile that it touches: those on the way from its
//! leaves to the root, and those on the right edge. So no proof becomes slower with the size of
//! the log than its logarithm.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use runledger_proof::merkle::{self, Hash, Node, Plan};
use runledger_proof::tile::{self, Of, TileHash, WIDTH};

use crate::store::{Store, StoreError};
use crate::words::WorkspaceId;

/// The root of the first `size` events of a log, as it follows from the stored hashes.
///
/// # Errors
/// [`StoreError::Corrupt`] if one of them is missing.
pub async fn root(store: &Store, workspace: WorkspaceId, size: u64) -> Result<Hash, StoreError> {
    let hashes = make(store, workspace, &merkle::plan_root(size)).await?;
    hashes.first().copied().ok_or_else(|| missing("the root"))
}

/// The proof that the event at `position` is in the log of the first `size` events.
///
/// # Errors
/// [`StoreError::Corrupt`] if there is no such event in it, or a stored hash is missing.
pub async fn inclusion(
    store: &Store,
    workspace: WorkspaceId,
    position: u64,
    size: u64,
) -> Result<Vec<Hash>, StoreError> {
    let plan =
        merkle::plan_inclusion(position, size).map_err(|error| missing(error.to_string()))?;
    make(store, workspace, &plan).await
}

/// The proof that the first `to` events of a log begin with the first `from`.
///
/// # Errors
/// [`StoreError::Corrupt`] if they cannot, or a stored hash is missing.
pub async fn consistency(
    store: &Store,
    workspace: WorkspaceId,
    from: u64,
    to: u64,
) -> Result<Vec<Hash>, StoreError> {
    let plan = merkle::plan_consistency(from, to).map_err(|error| missing(error.to_string()))?;
    make(store, workspace, &plan).await
}

/// Writes the hashes of tiles that a log should have and has not: those of events from before there
/// were any, or of a server of an older version. Says how many there were.
///
/// # Errors
/// [`StoreError::Corrupt`] if a leaf hash is missing.
pub async fn fill(store: &Store, workspace: WorkspaceId) -> Result<u64, StoreError> {
    let Some(head) = store.head(workspace).await? else { return Ok(0) };
    let mut filled = 0;
    for level in 1.. {
        let wanted = Of::Hashes(level).count(head.size());
        if wanted == 0 {
            break;
        }
        if store.count_hashes(workspace, level, wanted).await? == wanted {
            continue;
        }
        for start in (0..wanted).step_by(4096) {
            let range = start..wanted.min(start + 4096);
            filled += fill_range(store, workspace, level, range).await?;
        }
    }
    Ok(filled)
}

/// Fills all logs that have no hash of a tile at all: those of a database that was just brought to
/// these tables. Where some are there, one that is missing is for an audit to tell.
///
/// # Errors
/// [`StoreError::Corrupt`] if a leaf hash is missing.
pub async fn fill_new(store: &Store) -> Result<(), StoreError> {
    for (workspace, _) in store.workspaces().await? {
        if store.count_hashes(workspace, 1, i64::MAX.unsigned_abs()).await? == 0 {
            fill(store, workspace).await?;
        }
    }
    Ok(())
}

async fn fill_range(
    store: &Store,
    workspace: WorkspaceId,
    level: u32,
    range: Range<u64>,
) -> Result<u64, StoreError> {
    let there: HashMap<u64, Hash> =
        store.hashes(workspace, level, range.clone()).await?.into_iter().collect();
    let mut made = Vec::new();
    for index in range.filter(|index| !there.contains_key(index)) {
        let below = index * WIDTH..(index + 1) * WIDTH;
        let hashes = complete(store, workspace, level - 1, below).await?;
        made.push(TileHash { level, index, hash: tile::subtree_root(&hashes) });
    }
    store.add_hashes(workspace, &made).await?;
    Ok(made.len() as u64)
}

/// The hashes of a tile: the first `width` of those of level `level` from place `start` on.
///
/// # Errors
/// [`StoreError::Corrupt`] if one is missing.
pub async fn complete(
    store: &Store,
    workspace: WorkspaceId,
    level: u32,
    places: Range<u64>,
) -> Result<Vec<Hash>, StoreError> {
    let found = store.hashes(workspace, level, places.clone()).await?;
    let gap = places.clone().zip(&found).find(|(place, (found, _))| place != found);
    let gap = gap.map(|(place, _)| place).or_else(|| places.clone().nth(found.len()));
    match gap {
        Some(place) => Err(missing(format!("hash {place} of level {level} of the tree"))),
        None => Ok(found.into_iter().map(|(_, hash)| hash).collect()),
    }
}

async fn make(store: &Store, workspace: WorkspaceId, plan: &Plan) -> Result<Vec<Hash>, StoreError> {
    // One range for each tile that is touched.
    let mut ranges: BTreeMap<(u32, u64), Range<u64>> = BTreeMap::new();
    for node in plan.nodes() {
        let (level, places) = tile::hashes_of(node);
        let range = ranges.entry((level, places.start / WIDTH)).or_insert_with(|| places.clone());
        *range = range.start.min(places.start)..range.end.max(places.end);
    }
    let mut known: HashMap<(u32, u64), Hash> = HashMap::new();
    for ((level, _), range) in ranges {
        let hashes = store.hashes(workspace, level, range).await?;
        known.extend(hashes.into_iter().map(|(place, hash)| ((level, place), hash)));
    }
    let node = |node: Node| {
        let (level, places) = tile::hashes_of(node);
        let hashes: Option<Vec<Hash>> =
            places.map(|place| known.get(&(level, place)).copied()).collect();
        Some(tile::subtree_root(&hashes?))
    };
    plan.proof(node).ok_or_else(|| {
        let all = plan.nodes().map(tile::hashes_of);
        let mut all = all.flat_map(|(level, places)| places.map(move |place| (level, place)));
        match all.find(|place| !known.contains_key(place)) {
            Some((0, position)) => missing(format!("the event at position {position}")),
            Some((level, place)) => missing(format!("hash {place} of level {level} of the tree")),
            None => missing("a hash of the tree"),
        }
    })
}

fn missing(what: impl Into<String>) -> StoreError {
    StoreError::Corrupt(format!("{} is missing", what.into()))
}

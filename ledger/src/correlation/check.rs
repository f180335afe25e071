//! Whether the claims that are stored are those that follow from the log, and how they are put
//! right where they are not.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{CorrelationKey, sums};
use crate::event::Stream;
use crate::lane::{decode, fold_runs};
use crate::run::Run;
use crate::store::{Appended, Claim, Store, StoreError};
use crate::words::{RunId, WorkspaceId};

/// Events, and stored claims, that are looked at in one go.
const PAGE: u32 = 1_000;
/// How often what differs is looked at again, because its run may have moved in between.
const LOOKS: usize = 3;
/// How often the log may grow in between before nobody may append while it is put right.
const PATIENCE: u32 = 3;

/// A claim that is stored and does not follow from the log, or the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Discrepancy {
    /// The key of the id.
    pub key: CorrelationKey,
    /// The run.
    pub run: RunId,
    /// Whether it is stored, and should not be; else it should be, and is not.
    pub stored: bool,
}

/// Compares the claims of a workspace with its log. A server may append to it meanwhile.
///
/// # Errors
/// When the database fails, or an event cannot be read.
pub async fn check(store: &Store, workspace: WorkspaceId) -> Result<Vec<Discrepancy>, StoreError> {
    walk(store, workspace, false).await
}

/// Stores the claims of a workspace as they follow from its log, and returns what was not so. A
/// server may append to it meanwhile.
///
/// # Errors
/// When the database fails, or an event cannot be read.
pub async fn restore(
    store: &Store,
    workspace: WorkspaceId,
) -> Result<Vec<Discrepancy>, StoreError> {
    walk(store, workspace, true).await
}

async fn walk(
    store: &Store,
    workspace: WorkspaceId,
    repair: bool,
) -> Result<Vec<Discrepancy>, StoreError> {
    if sums::agree(store, workspace).await? {
        return Ok(Vec::new());
    }
    // What several pages bring is one discrepancy.
    let mut found = BTreeSet::new();
    let mut from = 0;
    while let Some((next, claims)) = claims_of_page(store, workspace, from).await? {
        found.extend(page(store, workspace, claims, repair).await?);
        from = next;
    }
    let mut after = None;
    loop {
        let claims = store.claims_after(workspace, after, PAGE).await?;
        let Some(last) = claims.last() else { break };
        after = Some(*last);
        found.extend(page(store, workspace, claims, repair).await?);
    }
    Ok(found.into_iter().collect())
}

async fn page(
    store: &Store,
    workspace: WorkspaceId,
    claims: Vec<Claim>,
    repair: bool,
) -> Result<Vec<Discrepancy>, StoreError> {
    if repair {
        put_right(store, workspace, claims).await
    } else {
        differing(store, workspace, claims).await
    }
}

/// What the runs claim to which the events from position `from` on bring ids, and where the next
/// page begins; none at the end.
async fn claims_of_page(
    store: &Store,
    workspace: WorkspaceId,
    from: u64,
) -> Result<Option<(u64, Vec<Claim>)>, StoreError> {
    let page = store.log(workspace, from, u64::MAX, PAGE).await?;
    let Some(last) = page.last() else { return Ok(None) };
    let next = last.position + 1;
    let mut runs = BTreeSet::new();
    for event in page.iter().filter(|event| mentions_ids(&event.body)) {
        runs.extend(decode(event)?.stream.run_id());
    }
    let runs = load(store, workspace, runs).await?;
    let claims = runs.iter().flat_map(|(id, run)| run.claims().map(|key| (key, *id))).collect();
    Ok(Some((next, claims)))
}

/// Whether the bytes of an event may bring external ids: most need not be read for that.
fn mentions_ids(body: &[u8]) -> bool {
    const MEMBER: &[u8] = b"\"external_ids\"";
    body.windows(MEMBER.len()).any(|part| part == MEMBER)
}

async fn load(
    store: &Store,
    workspace: WorkspaceId,
    runs: BTreeSet<RunId>,
) -> Result<HashMap<RunId, Run>, StoreError> {
    if runs.is_empty() {
        return Ok(HashMap::new());
    }
    let streams: Vec<Stream> = runs.into_iter().map(Stream::run).collect();
    let events = store.load_streams(workspace, &streams).await?;
    Ok(fold_runs(&events)?.into_iter().collect())
}

/// Which of `claims` are stored and not made, or made and not stored. What differs is looked at
/// again: its run may have moved between the two looks.
async fn differing(
    store: &Store,
    workspace: WorkspaceId,
    mut claims: Vec<Claim>,
) -> Result<Vec<Discrepancy>, StoreError> {
    for _ in 0..LOOKS {
        let found = compare(store, workspace, &claims).await?;
        if found.is_empty() {
            return Ok(found);
        }
        claims = found.into_iter().map(|claim| (claim.key, claim.run)).collect();
    }
    compare(store, workspace, &claims).await
}

/// The same, and puts it right. What was seen holds if the log has not grown since.
async fn put_right(
    store: &Store,
    workspace: WorkspaceId,
    claims: Vec<Claim>,
) -> Result<Vec<Discrepancy>, StoreError> {
    let mut attempts = 0;
    loop {
        let turn = match attempts {
            0..PATIENCE => None,
            _ => Some(store.take_turn(workspace).await?),
        };
        let size = store.head(workspace).await?.map_or(0, |head| head.size());
        let found = compare(store, workspace, &claims).await?;
        let pick = |stored| {
            let claims = found.iter().filter(move |claim| claim.stored == stored);
            claims.map(|claim| (claim.key, claim.run)).collect::<Vec<Claim>>()
        };
        let changes = (&pick(false)[..], &pick(true)[..]);
        if found.is_empty()
            || store.write_claims(workspace, size, changes, turn).await? == Appended::Done
        {
            return Ok(found);
        }
        attempts += 1;
    }
}

async fn compare(
    store: &Store,
    workspace: WorkspaceId,
    claims: &[Claim],
) -> Result<Vec<Discrepancy>, StoreError> {
    let runs = load(store, workspace, claims.iter().map(|(_, run)| *run).collect()).await?;
    let made: HashSet<Claim> =
        runs.iter().flat_map(|(id, run)| run.claims().map(|key| (key, *id))).collect();
    let held: HashSet<Claim> = store.held_claims(workspace, claims).await?.into_iter().collect();
    let differ = claims.iter().filter(|claim| made.contains(claim) != held.contains(claim));
    let discrepancy =
        |claim: &Claim| Discrepancy { key: claim.0, run: claim.1, stored: held.contains(claim) };
    Ok(differ.map(discrepancy).collect())
}

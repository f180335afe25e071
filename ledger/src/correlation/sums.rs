//! Whether the stored claims are those of the log, told by one sum over each: of every claim once,
//! in any order. Where the sums agree, no claim has to be looked at by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::event::Stream;
use crate::lane::{decode, fold_runs};
use crate::store::{Claim, Store, StoreError, StoredEvent};
use crate::words::WorkspaceId;

/// Events that are looked at in one go.
const PAGE: u32 = 5_000;
/// What an event has in its bytes that may change what its run claims.
const MEMBERS: [&str; 2] = ["\"external_ids\"", "\"environment\""];

/// A sum of claims, which does not depend on their order. It has room for a hash of each, so that
/// no other claims come to the same sum by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum([u64; 4]);

impl Sum {
    pub(super) fn add(&mut self, claim: Claim) {
        for (part, word) in self.0.iter_mut().zip(words(claim)) {
            *part = part.wrapping_add(word);
        }
    }

    pub(super) fn remove(&mut self, claim: Claim) {
        for (part, word) in self.0.iter_mut().zip(words(claim)) {
            *part = part.wrapping_sub(word);
        }
    }
}

fn words((key, run): Claim) -> [u64; 4] {
    let hash: [u8; 32] = Sha256::new().chain_update(key.0).chain_update(run.0).finalize().into();
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(hash.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    words
}

/// Whether the stored claims are those of the log, both as they were at one moment. The log is read
/// once, and most of its events only as bytes.
///
/// # Errors
/// When the database fails, or an event cannot be read.
pub async fn agree(store: &Store, workspace: WorkspaceId) -> Result<bool, StoreError> {
    let (size, stored) = stored(store, workspace).await?;
    Ok(made(store, workspace, size).await? == stored)
}

/// The sum of the stored claims, and how many events the log held then.
async fn stored(store: &Store, workspace: WorkspaceId) -> Result<(u64, Sum), StoreError> {
    let mut sum = Sum::default();
    let size = store.each_claim(workspace, &mut |claim| sum.add(claim)).await?;
    Ok((size, sum))
}

/// The sum of what the first `size` events of the log make runs claim.
async fn made(store: &Store, workspace: WorkspaceId, size: u64) -> Result<Sum, StoreError> {
    let mut sum = Sum::default();
    let mut from = 0;
    while from < size {
        let page = store.log(workspace, from, size, PAGE).await?;
        let Some(last) = page.last() else { break };
        let next = last.position + 1;
        add_page(store, workspace, (from..next, &page), &mut sum).await?;
        from = next;
    }
    Ok(sum)
}

async fn add_page(
    store: &Store,
    workspace: WorkspaceId,
    (positions, page): (Range<u64>, &[StoredEvent]),
    sum: &mut Sum,
) -> Result<(), StoreError> {
    // Most runs say everything in their first event. The others are looked at as a whole.
    let mut begun = BTreeMap::new();
    let mut moved = BTreeSet::new();
    for event in page.iter().filter(|event| may_change_claims(&event.body)) {
        let recorded = decode(event)?;
        let Some(run) = recorded.stream.run_id() else { continue };
        if recorded.sequence == 1 {
            begun.insert(run, event);
        } else {
            moved.insert(run);
        }
    }
    for (run, event) in begun {
        if !moved.contains(&run) {
            for (run, folded) in fold_runs(std::slice::from_ref(event))? {
                folded.claims().for_each(|key| sum.add((key, run)));
            }
        }
    }
    let streams: Vec<Stream> = moved.into_iter().map(Stream::run).collect();
    if streams.is_empty() {
        return Ok(());
    }
    let events = store.load_streams(workspace, &streams).await?;
    let until = |position: u64| {
        let known: Vec<StoredEvent> =
            events.iter().filter(|event| event.position < position).cloned().collect();
        fold_runs(&known)
    };
    for (run, before) in until(positions.start)? {
        before.claims().for_each(|key| sum.remove((key, run)));
    }
    for (run, after) in until(positions.end)? {
        after.claims().for_each(|key| sum.add((key, run)));
    }
    Ok(())
}

/// Whether an event may change what its run claims: most need not be read for that.
fn may_change_claims(body: &[u8]) -> bool {
    // The bytes are JSON. What is not would have to be looked at more closely, and is found so.
    std::str::from_utf8(body)
        .map_or(true, |body| MEMBERS.iter().any(|member| body.contains(member)))
}

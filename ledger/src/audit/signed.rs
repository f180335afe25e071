//! Whether a log is still what was signed of it.

use runledger_proof::walk::Walk;
use runledger_proof::witness::Seen;

use super::{Flaw, Problem};
use crate::store::{Store, StoreError};
use crate::words::WorkspaceId;

/// Hashes that are read in one go.
const PAGE: u64 = 4_096;

/// Compares the leaf hashes of a log with what was signed of it: any number of sizes with their
/// roots, from whoever kept them. Each difference names the first position that can be concerned:
/// the one after the last size that is as it was signed.
///
/// # Errors
/// When the database fails. What differs is no error.
pub async fn compare(
    store: &Store,
    workspace: WorkspaceId,
    signed: &[Seen],
) -> Result<Vec<Flaw>, StoreError> {
    let mut signed = signed.to_vec();
    signed.sort_by_key(|seen| seen.size);
    signed.dedup();
    let mut walk = Walk::default();
    let mut flaws = Vec::new();
    let mut as_signed = 0;
    let mut left = signed.iter().peekable();
    while let Some(next) = left.peek() {
        let size = walk.size();
        let page = size..next.size.min(size + PAGE);
        let found = store.hashes(workspace, 0, page.clone()).await?;
        for ((_, leaf), _) in found.iter().zip(page).take_while(|((place, _), at)| place == at) {
            walk.leaf(*leaf);
        }
        if walk.size() == next.size {
            if walk.root() == next.root {
                as_signed = next.size;
            } else {
                let problem = Problem::NotAsSigned { from: as_signed, signed: next.size };
                flaws.push(Flaw { position: Some(as_signed), problem });
            }
            left.next();
        } else if walk.size() == size {
            let problem = Problem::EndsBefore { signed: next.size };
            flaws.push(Flaw { position: Some(size), problem });
            break;
        }
    }
    Ok(flaws)
}

//! Proofs made of what is stored, and hashes of tiles where a log has none yet.

use runledger_ledger::merkle::{self, Frontier, Hash};
use runledger_ledger::store::Store;
use runledger_ledger::tree;

use crate::audit::{audit, rows};
use crate::bed::{Bed, on_every_store};
use crate::reports::dispatch;
use runledger_tests::superuser_of;

on_every_store!(
    proofs_hold_across_the_borders_of_tiles,
    a_log_without_hashes_of_tiles_gets_them,
    a_proof_of_what_is_missing_says_so,
);

/// Events beyond two tiles, in batches of all sizes.
async fn fill(bed: &Bed) -> Vec<Hash> {
    for batch in [1_usize, 250, 3, 2, 255, 77] {
        bed.submit((0..batch).map(|_| dispatch(bed.new_run())).collect()).await;
    }
    let rows = rows(bed.store(), bed.workspace).await;
    rows.iter().map(|row| row.leaf_hash[..].try_into().unwrap()).collect()
}

fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

async fn proofs_hold_across_the_borders_of_tiles(bed: Bed) {
    let (store, workspace) = (bed.store().clone(), bed.workspace);
    let leaves = fill(&bed).await;
    assert_eq!(leaves.len(), 590);
    audit(&store, workspace).await;
    for size in [1, 255, 256, 257, 511, 512, 513, 590_u64] {
        let of = |size: u64| root(&leaves[..usize::try_from(size).unwrap()]);
        assert_eq!(tree::root(&store, workspace, size).await.unwrap(), of(size), "{size}");
        for position in [0, 1, 254, 255, 256, 511, 512, 589_u64] {
            if position < size {
                let leaf = leaves[usize::try_from(position).unwrap()];
                let proof = tree::inclusion(&store, workspace, position, size).await.unwrap();
                let checked = merkle::verify_inclusion(position, size, &leaf, &proof, &of(size));
                assert_eq!(checked, Ok(()), "{position} in {size}");
            }
            let from = position.min(size);
            let proof = tree::consistency(&store, workspace, from, size).await.unwrap();
            let checked = merkle::verify_consistency(from, size, &of(from), &of(size), &proof);
            assert_eq!(checked, Ok(()), "{from} to {size}");
        }
    }
}

async fn execute(store: &Store, statement: &'static str) {
    match (store.postgres(), store.sqlite()) {
        (Some(pool), _) => {
            let mut connection = superuser_of(pool).await;
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        (_, Some((pool, _))) => drop(sqlx::query(statement).execute(pool).await.unwrap()),
        _ => unreachable!("a store is one of the two"),
    }
}

async fn a_log_without_hashes_of_tiles_gets_them(bed: Bed) {
    fill(&bed).await;
    let (store, workspace) = (bed.store().clone(), bed.workspace);
    assert_eq!(tree::fill(&store, workspace).await.unwrap(), 0, "nothing was missing");
    for statement in ["DELETE FROM tile_hashes WHERE place = 0", "DELETE FROM tile_hashes"] {
        let missing = store.count_hashes(workspace, 1, 2).await.unwrap();
        execute(&store, statement).await;
        let left = store.count_hashes(workspace, 1, 2).await.unwrap();
        assert_eq!(tree::fill(&store, workspace).await.unwrap(), missing - left);
        audit(&store, workspace).await;
    }
}

async fn a_proof_of_what_is_missing_says_so(bed: Bed) {
    let size = fill(&bed).await.len() as u64;
    execute(bed.store(), "DELETE FROM tile_hashes").await;
    let error = tree::root(bed.store(), bed.workspace, size).await.unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
    let error = tree::inclusion(bed.store(), bed.workspace, size, size).await.unwrap_err();
    assert!(error.to_string().contains("not in a tree"), "{error}");
    let error = tree::complete(bed.store(), bed.workspace, 0, 500..600).await.unwrap_err();
    assert!(error.to_string().contains("hash 590 of level 0"), "{error}");
}

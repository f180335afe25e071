use super::*;

/// The definition of RFC 6962 section 2.1, word for word.
fn root_by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            node_hash(&root_by_definition(left), &root_by_definition(right))
        }
    }
}

fn leaves(count: u32) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn of(leaves: &[Hash]) -> impl Fn(Node) -> Option<Hash> + '_ {
    |node| {
        let start = usize::try_from(node.index << node.level).ok()?;
        Some(root_by_definition(leaves.get(start..start + (1 << node.level))?))
    }
}

#[test]
fn the_published_constants_hold() {
    let empty_leaf = hex::encode(leaf_hash(b""));
    assert_eq!(empty_leaf, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    let empty_tree = hex::encode(Frontier::default().root());
    assert_eq!(empty_tree, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn the_frontier_tells_the_root_of_the_definition_at_every_size() {
    let mut frontier = Frontier::default();
    let all = leaves(600);
    for (size, leaf) in all.iter().enumerate() {
        assert_eq!(frontier.root(), root_by_definition(&all[..size]), "size {size}");
        let read_back = Frontier::from_bytes(frontier.size(), &frontier.to_bytes());
        assert_eq!(read_back.as_ref(), Ok(&frontier));
        frontier.push_telling(*leaf, |node, hash| assert_eq!(of(&all)(node), Some(hash)));
    }
}

#[test]
fn an_independent_tree_has_the_same_roots() {
    let mut theirs = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut ours = Frontier::default();
    for number in 0..200_u32 {
        theirs.push(number.to_be_bytes().to_vec());
        ours.push(leaf_hash(&number.to_be_bytes()));
        assert_eq!(ours.root()[..], theirs.root().as_bytes()[..], "size {}", ours.size());
    }
}

#[test]
fn an_independent_tree_gives_the_same_proofs() {
    let mut theirs = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let all = leaves(48);
    for size in 1..=48_u64 {
        theirs.push((u32::try_from(size).unwrap() - 1).to_be_bytes().to_vec());
        for index in 0..size {
            let proof = plan_inclusion(index, size).unwrap().proof(of(&all)).unwrap();
            let place = usize::try_from(index).unwrap();
            assert_eq!(proof.concat(), theirs.prove_inclusion(place).as_bytes(), "{index} {size}");
        }
        for from in 1..size {
            let proof = plan_consistency(from, size).unwrap().proof(of(&all)).unwrap();
            let added = usize::try_from(size - from).unwrap();
            assert_eq!(proof.concat(), theirs.prove_consistency(added).as_bytes(), "{from} {size}");
        }
    }
}

#[test]
fn every_proof_of_every_small_tree_holds_and_leads_nowhere_else() {
    let all = leaves(40);
    for size in 0..=40_u64 {
        let root = root_by_definition(&all[..usize::try_from(size).unwrap()]);
        let whole = plan_root(size).proof(of(&all)).unwrap();
        assert_eq!(whole, [root]);
        for index in 0..size {
            let leaf = all[usize::try_from(index).unwrap()];
            let proof = plan_inclusion(index, size).unwrap().proof(of(&all)).unwrap();
            assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()));
            for other in (0..size).filter(|other| *other != index) {
                assert!(verify_inclusion(other, size, &leaf, &proof, &root).is_err());
            }
        }
        for from in 0..=size {
            let old = root_by_definition(&all[..usize::try_from(from).unwrap()]);
            let proof = plan_consistency(from, size).unwrap().proof(of(&all)).unwrap();
            assert_eq!(
                verify_consistency(from, size, &old, &root, &proof),
                Ok(()),
                "{from} {size}"
            );
            let other = leaf_hash(b"another tree");
            assert!(verify_consistency(from, size, &other, &root, &proof).is_err());
            let changed = verify_consistency(from, size, &old, &other, &proof);
            assert!(from == 0 || changed.is_err(), "{from} {size}");
        }
    }
}

#[test]
fn bytes_that_are_no_frontier_are_refused() {
    assert!(Frontier::from_bytes(3, &[0; 32]).is_err());
    assert!(Frontier::from_bytes(1, &[0; 33]).is_err());
    assert!(Frontier::from_bytes(0, &[]).is_ok());
}

#[test]
fn trees_as_large_as_a_number_can_tell_are_no_trouble() {
    let most = u64::MAX;
    assert_eq!(plan_inclusion(most - 1, most).unwrap().parts.len(), 63);
    assert!(plan_inclusion(most, most).is_err());
    assert!(verify_consistency(most - 1, most, &[0; 32], &[0; 32], &[[0; 32]; 64]).is_err());
    assert!(root_of_inclusion(most - 1, most, &[0; 32], &[[0; 32]; 63]).is_ok());
}

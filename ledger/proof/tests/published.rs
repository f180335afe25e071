//! What others have published or written: their proofs and ours are the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runledger_proof::merkle::{self, Frontier, Hash, Node, leaf_hash};
use runledger_proof::note::{Kind, Note, SignerKey, VerifierKey};
use runledger_proof::tile;
use serde_json::Value;

fn hash(value: &Value) -> Hash {
    STANDARD.decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn proof(value: &Value) -> Vec<Hash> {
    value["proof"].as_array().unwrap().iter().map(hash).collect()
}

#[test]
fn the_probes_of_transparency_dev_are_judged_as_they_say() {
    let probes = include_str!("../../../tests/fixtures/merkle/transparency-dev.json");
    let probes: Value = serde_json::from_str(probes).unwrap();
    for probe in probes["inclusion"].as_array().unwrap() {
        let (index, size) =
            (probe["leafIdx"].as_u64().unwrap(), probe["treeSize"].as_u64().unwrap());
        let (leaf, root) = (hash(&probe["leafHash"]), hash(&probe["root"]));
        let judged = merkle::verify_inclusion(index, size, &leaf, &proof(probe), &root);
        assert_eq!(judged.is_err(), probe["wantErr"].as_bool().unwrap(), "{probe}");
    }
    for probe in probes["consistency"].as_array().unwrap() {
        let (from, to) = (probe["size1"].as_u64().unwrap(), probe["size2"].as_u64().unwrap());
        let (old, new) = (hash(&probe["root1"]), hash(&probe["root2"]));
        let judged = merkle::verify_consistency(from, to, &old, &new, &proof(probe));
        assert_eq!(judged.is_err(), probe["wantErr"].as_bool().unwrap(), "{probe}");
    }
}

#[test]
fn the_note_of_the_specification_is_read() {
    let text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
                ed \u{e8} subito sera.\n\n\u{2014} quasimodo.example/salvatore \
                NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note = Note::parse(text.as_bytes()).unwrap();
    assert!(note.text.ends_with("subito sera.\n") && note.to_string() == text);
    assert_eq!(note.signatures[0].bytes.len(), 64);
}

#[test]
fn the_checkpoint_of_the_specification_of_cosignatures_is_read() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let note = Note::parse(text.as_bytes()).unwrap();
    let checkpoint = runledger_proof::checkpoint::Checkpoint::parse(&note.text).unwrap();
    assert_eq!(checkpoint.size, 20_852_163);
    let time = note.signatures[1].bytes[..8].try_into().unwrap();
    assert_eq!(u64::from_be_bytes(time), 1_679_315_147);
    // Whoever they are, a key of ours did not sign it.
    let ours = SignerKey::new("example.com/behind-the-sofa", Kind::Ed25519, &[1; 32]).unwrap();
    assert!(note.verify([&ours.verifier()]).unwrap().is_empty());
    let theirs = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    assert!(note.verify([&VerifierKey::parse(theirs).unwrap()]).unwrap().is_empty());
}

/// Hashes as `tlog_tiles` stores them.
struct Stored(Vec<tlog_tiles::Hash>);

impl tlog_tiles::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

#[test]
fn the_proofs_of_an_independent_implementation_are_the_same_beyond_two_levels_of_tiles() {
    const SIZE: u64 = 70_000;
    let (mut stored, mut leaves, mut frontier) =
        (Stored(Vec::new()), Vec::new(), Frontier::default());
    let mut completed = Vec::new();
    for number in 0..SIZE {
        let entry = number.to_be_bytes();
        let new = tlog_tiles::stored_hashes(number, &entry, &stored).unwrap();
        stored.0.extend(new);
        leaves.push(leaf_hash(&entry));
        tile::push(&mut frontier, leaf_hash(&entry), &mut completed);
    }
    let known = |level: u32, index: u64| match level {
        0 => leaves.get(usize::try_from(index).unwrap()).copied(),
        _ => completed
            .iter()
            .find(|hash| (hash.level, hash.index) == (level, index))
            .map(|hash| hash.hash),
    };
    // Only what is stored: leaf hashes, and one hash for each full tile.
    let node = |node: Node| {
        let (level, places) = tile::hashes_of(node);
        let hashes: Option<Vec<Hash>> = places.map(|index| known(level, index)).collect();
        Some(tile::subtree_root(&hashes?))
    };
    let theirs = tlog_tiles::tree_hash(SIZE, &stored).unwrap();
    assert_eq!(theirs.0, frontier.root());
    for (index, size) in [
        (0, 70_000),
        (69_999, 70_000),
        (65_535, 65_536),
        (65_536, 70_000),
        (300, 65_537),
        (255, 257),
    ] {
        let ours = merkle::plan_inclusion(index, size).unwrap().proof(node).unwrap();
        let theirs = tlog_tiles::prove_record(size, index, &stored).unwrap();
        assert_eq!(ours, theirs.iter().map(|hash| hash.0).collect::<Vec<_>>(), "{index} {size}");
    }
    for (from, to) in
        [(1, 70_000), (256, 70_000), (65_536, 70_000), (69_999, 70_000), (511, 65_537)]
    {
        let ours = merkle::plan_consistency(from, to).unwrap().proof(node).unwrap();
        let theirs = tlog_tiles::prove_tree(to, from, &stored).unwrap();
        assert_eq!(ours, theirs.iter().map(|hash| hash.0).collect::<Vec<_>>(), "{from} {to}");
    }
}

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

/// A probe as its file has it: hashes may be of any length there.
#[derive(Clone)]
struct Probe {
    /// The index of the leaf, or the size of the older log.
    first: u64,
    size: u64,
    /// The leaf, or the older root.
    of: Vec<u8>,
    root: Vec<u8>,
    proof: Vec<Vec<u8>>,
}

type Alter = (&'static str, fn(&mut Probe));

/// What hash has no meaning at all in these probes.
fn some_hash() -> Vec<u8> {
    STANDARD.decode("q6yroAAAAAAAAAAAAAAAAAAAAAAAAAAAAGAGHgASNFY=").unwrap()
}

/// What is altered in probes of either kind, by the names of their files.
const BOTH: [Alter; 7] = [
    ("first - 1", |probe| probe.first = probe.first.wrapping_sub(1)),
    ("first + 1", |probe| probe.first += 1),
    ("first ^ 2", |probe| probe.first ^= 2),
    ("size * 2", |probe| probe.size *= 2),
    ("size / 2", |probe| probe.size /= 2),
    ("trailing garbage", |probe| probe.proof.push(Vec::new())),
    ("preceding garbage", |probe| probe.proof.insert(0, Vec::new())),
];
const INCLUSION: [Alter; 5] = [
    ("wrong leaf", |probe| probe.of = b"WrongLeaf".to_vec()),
    ("empty root", |probe| probe.root = merkle::empty_root().to_vec()),
    ("random root", |probe| probe.root = some_hash()),
    ("trailing root", |probe| probe.proof.push(probe.root.clone())),
    ("preceding root", |probe| probe.proof.insert(0, probe.root.clone())),
];
const CONSISTENCY: [Alter; 9] = [
    ("wrong root1", |probe| probe.of = b"WrongRoot".to_vec()),
    ("wrong root2", |probe| probe.root = b"WrongRoot".to_vec()),
    ("swapped roots", |probe| std::mem::swap(&mut probe.of, &mut probe.root)),
    ("empty proof", |probe| probe.proof.clear()),
    ("trailing root1", |probe| probe.proof.push(probe.of.clone())),
    ("trailing root2", |probe| probe.proof.push(probe.root.clone())),
    ("preceding root1", |probe| probe.proof.insert(0, probe.of.clone())),
    ("preceding root2", |probe| probe.proof.insert(0, probe.root.clone())),
    ("preceding proof[0]", |probe| probe.proof.insert(0, probe.proof[0].clone())),
];

/// Each alteration of a probe, with its name. `bit` is the one that is flipped in a hash of its proof.
fn altered(probe: &Probe, alters: &[&[Alter]], bit: u8) -> Vec<(String, Probe)> {
    let mut all = Vec::new();
    for (name, alter) in alters.iter().copied().flatten() {
        let mut one = probe.clone();
        alter(&mut one);
        all.push(((*name).to_owned(), one));
    }
    for place in 0..probe.proof.len() {
        let mut one = probe.clone();
        one.proof[place][0] ^= 1 << bit;
        all.push((format!("modified proof[{place}] bit {bit}"), one));
    }
    if !probe.proof.is_empty() {
        let mut one = probe.clone();
        one.proof.pop();
        all.push(("removed component".to_owned(), one));
    }
    all
}

/// Whether all its hashes are hashes: what is handed to us otherwise is refused where it is read.
fn hashes(probe: &Probe) -> Option<(Hash, Hash, Vec<Hash>)> {
    let of = |bytes: &Vec<u8>| Hash::try_from(bytes.as_slice()).ok();
    Some((of(&probe.of)?, of(&probe.root)?, probe.proof.iter().map(of).collect::<Option<_>>()?))
}

#[test]
fn every_alteration_that_transparency_dev_publishes_is_refused() {
    let probes = include_str!("../../../tests/fixtures/merkle/transparency-dev.json");
    let probes: Value = serde_json::from_str(probes).unwrap();
    let happy = |kind: &str| {
        let all = probes[kind].as_array().unwrap().clone();
        all.into_iter().filter(|probe| probe["wantErr"] == false).collect::<Vec<_>>()
    };
    let read = |probe: &Value, [first, size, of, root]: [&str; 4]| Probe {
        first: probe[first].as_u64().unwrap(),
        size: probe[size].as_u64().unwrap(),
        of: hash(&probe[of]).to_vec(),
        root: hash(&probe[root]).to_vec(),
        proof: proof(probe).into_iter().map(Vec::from).collect(),
    };
    let mut refused = 0;
    // The first of them, of a log of one leaf, has no proof.
    let leaf = STANDARD.decode("bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=").unwrap();
    let one = Probe { first: 0, size: 1, of: leaf.clone(), root: leaf, proof: Vec::new() };
    let others = happy("inclusion");
    let others =
        others.iter().map(|probe| read(probe, ["leafIdx", "treeSize", "leafHash", "root"]));
    for probe in std::iter::once(one).chain(others) {
        let mut all = altered(&probe, &[&BOTH, &INCLUSION], 3);
        if probe.proof.len() > 1 {
            let mut inserted = probe.clone();
            inserted.proof.insert(1, some_hash());
            all.push(("inserted component".to_owned(), inserted));
        }
        for (name, one) in all {
            let Some((leaf, root, proof)) = hashes(&one) else {
                refused += 1;
                continue;
            };
            let judged = merkle::verify_inclusion(one.first, one.size, &leaf, &proof, &root);
            assert!(judged.is_err(), "{} of {}: {name}", probe.first, probe.size);
            refused += 1;
        }
    }
    for probe in happy("consistency") {
        let probe = read(&probe, ["size1", "size2", "root1", "root2"]);
        for (name, one) in altered(&probe, &[&BOTH, &CONSISTENCY], 4) {
            let Some((old, new, proof)) = hashes(&one) else {
                refused += 1;
                continue;
            };
            let judged = merkle::verify_consistency(one.first, one.size, &old, &new, &proof);
            assert!(judged.is_err(), "{} to {}: {name}", probe.first, probe.size);
            refused += 1;
        }
    }
    assert_eq!(refused, 156);
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

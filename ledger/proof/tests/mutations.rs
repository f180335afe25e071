//! More than a hundred thousand proofs, notes, receipts and tiles that an adversary might hand in:
//! none is believed, and nothing panics. The same ones every time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::merkle::{self, Frontier, Hash, Node, leaf_hash};
use runledger_proof::note::{Kind, Note, SignerKey, VerifierKey};
use runledger_proof::policy::Policy;
use runledger_proof::receipt::Receipt;
use runledger_proof::tile::{self, Tile};
use runledger_proof::walk::Walk;
use runledger_proof::witness::AddCheckpoint;

/// SplitMix64: the next number follows from the last one.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    /// Other bytes than `bytes`, but not very much so.
    fn change(&mut self, bytes: &[u8]) -> Vec<u8> {
        loop {
            let mut other = bytes.to_vec();
            for _ in 0..=self.roll(3) {
                let place = self.roll(other.len().max(1));
                match self.roll(6) {
                    0 | 1 if !other.is_empty() => other[place] ^= 1 << self.roll(8),
                    2 if !other.is_empty() => drop(other.remove(place)),
                    3 => other.insert(place, b"\n +=/0Ax\xe2\0"[self.roll(10)]),
                    4 => other.truncate(place),
                    _ => {
                        let from = self.roll(bytes.len());
                        let piece = &bytes[from..(from + self.roll(60)).min(bytes.len())];
                        let _ = other.splice(place..place, piece.iter().copied());
                    }
                }
            }
            if other != bytes {
                return other;
            }
        }
    }
}

struct Log {
    leaves: Vec<Hash>,
    key: SignerKey,
    keys: [VerifierKey; 1],
}

impl Log {
    fn new() -> Log {
        let leaves = (0..70_u32).map(|number| leaf_hash(&number.to_be_bytes())).collect();
        let key = SignerKey::new("log.example/1", Kind::Ed25519, &[3; 32]).unwrap();
        Log { leaves, keys: [key.verifier()], key }
    }

    fn root(&self, size: usize) -> Hash {
        let mut frontier = Frontier::default();
        self.leaves[..size].iter().for_each(|leaf| frontier.push(*leaf));
        frontier.root()
    }

    fn node(&self, node: Node) -> Option<Hash> {
        let start = usize::try_from(node.index << node.level).ok()?;
        Some(tile::subtree_root(self.leaves.get(start..start + (1 << node.level))?))
    }

    fn note(&self, size: usize) -> Note {
        let checkpoint = Checkpoint::new(self.key.name(), size as u64, self.root(size));
        Note::sign(&checkpoint.to_string(), &[&self.key], 0)
    }
}

/// A changed list of hashes; never the same one.
fn other_proof(dice: &mut Dice, proof: &[Hash]) -> Vec<Hash> {
    loop {
        let mut other = proof.to_vec();
        let place = dice.roll(other.len() + 1);
        match dice.roll(4) {
            0 if place < other.len() => other[place][dice.roll(32)] ^= 1 << dice.roll(8),
            1 if place < other.len() => drop(other.remove(place)),
            2 => other.insert(place, *proof.get(dice.roll(proof.len() + 1)).unwrap_or(&[9; 32])),
            _ if proof.len() > 1 => other.swap(dice.roll(proof.len()), dice.roll(proof.len())),
            _ => {}
        }
        if other != proof {
            return other;
        }
    }
}

#[test]
fn no_changed_proof_is_believed() {
    let (log, mut dice) = (Log::new(), Dice(1));
    for _ in 0..30_000 {
        let size = 1 + dice.roll(70);
        let index = dice.roll(size);
        let (at, of, leaf, root) = (index as u64, size as u64, log.leaves[index], log.root(size));
        let proof = merkle::plan_inclusion(at, of).unwrap().proof(|n| log.node(n)).unwrap();
        assert!(merkle::verify_inclusion(at, of, &leaf, &proof, &root).is_ok());
        let other = other_proof(&mut dice, &proof);
        assert!(merkle::verify_inclusion(at, of, &leaf, &other, &root).is_err());
        if size > 1 {
            let elsewhere = (index + 1 + dice.roll(size - 1)) % size;
            let moved = merkle::verify_inclusion(elsewhere as u64, of, &leaf, &proof, &root);
            assert!(moved.is_err(), "{index} of {size} as {elsewhere}");
        }
        let from = 1 + dice.roll(size);
        let old = log.root(from);
        let plan = merkle::plan_consistency(from as u64, of).unwrap();
        let proof = plan.proof(|n| log.node(n)).unwrap();
        assert!(merkle::verify_consistency(from as u64, of, &old, &root, &proof).is_ok());
        let other = other_proof(&mut dice, &proof);
        assert!(merkle::verify_consistency(from as u64, of, &old, &root, &other).is_err());
    }
}

#[test]
fn no_changed_note_or_receipt_is_believed() {
    let (log, mut dice) = (Log::new(), Dice(2));
    let policy = Policy::of_keys(log.keys.to_vec());
    let note = log.note(70).to_string();
    assert!(policy.believe(note.as_bytes()).is_ok());
    let plan = merkle::plan_inclusion(41, 70).unwrap();
    let proof = plan.proof(|node| log.node(node)).unwrap();
    let receipt = Receipt { extra: None, index: 41, proof, note: log.note(70) };
    let holds = |bytes: &[u8]| {
        Receipt::parse(bytes).is_ok_and(|receipt| {
            receipt.leads_to(&log.leaves[41]).is_ok() && policy.believe_note(&receipt.note).is_ok()
        })
    };
    let receipt = receipt.to_string();
    assert!(holds(receipt.as_bytes()));
    for _ in 0..20_000 {
        let changed = dice.change(note.as_bytes());
        if let Ok(believed) = policy.believe(&changed) {
            // A signature of nobody known may be added: that is what notes are for.
            assert!(is_note_with_more(&changed, &log, &believed.checkpoint), "{changed:?}");
        }
        let changed = dice.change(receipt.as_bytes());
        if holds(&changed) {
            let read = Receipt::parse(&changed).unwrap();
            let more = read.note.to_string();
            let checkpoint = Checkpoint::parse(&read.note.text).unwrap();
            assert!(is_note_with_more(more.as_bytes(), &log, &checkpoint), "{changed:?}");
        }
    }
}

/// Whether only signatures were added that nobody knows, or known ones repeated.
fn is_note_with_more(bytes: &[u8], log: &Log, checkpoint: &Checkpoint) -> bool {
    let note = Note::parse(bytes).unwrap();
    let signature = &log.note(70).signatures[0];
    *checkpoint == Checkpoint::new(log.key.name(), 70, log.root(70))
        && note.signatures.contains(signature)
        && note.text == log.note(70).text
}

#[test]
fn whatever_comes_in_place_of_a_tile_a_path_a_policy_or_a_request_nothing_panics() {
    let (log, mut dice) = (Log::new(), Dice(3));
    let mut bundle = Vec::new();
    let entries: Vec<[u8; 4]> = (0..70_u32).map(u32::to_be_bytes).collect();
    assert!(entries.iter().all(|entry| tile::push_entry(&mut bundle, entry)));
    let signed = Checkpoint::new("log.example/1", 70, log.root(70));
    let leaves = log.leaves.concat();
    let policy = format!("log {}\nquorum none\n", log.keys[0]);
    let plan = merkle::plan_consistency(33, 70).unwrap();
    let proof = plan.proof(|node| log.node(node)).unwrap();
    let ask = AddCheckpoint { old: 33, proof, note: log.note(70) }.to_string();
    for _ in 0..20_000 {
        let changed = dice.change(&bundle);
        if let Ok(entries) = tile::entries(&changed, 70) {
            let mut walk = Walk::default();
            let told = entries
                .iter()
                .zip(&log.leaves)
                .filter_map(|(entry, leaf)| walk.entry(entry, Some(leaf)).err())
                .count();
            assert!(walk.is(&signed).is_err() && told > 0);
        }
        let changed = dice.change(&leaves);
        if let Some(hashes) = tile::hashes(&changed, 70) {
            let mut walk = Walk::default();
            hashes.iter().for_each(|hash| walk.leaf(*hash));
            assert!(walk.is(&signed).is_err());
        }
        let changed = dice.change(b"tile/2/x001/x234/067.p/12");
        if let Some(tile) = std::str::from_utf8(&changed).ok().and_then(Tile::parse) {
            assert_eq!(tile.to_string().as_bytes(), changed, "one way to write each");
        }
        let _ = Policy::parse(&dice.change(policy.as_bytes()));
        if let Ok(read) = AddCheckpoint::parse(&dice.change(ask.as_bytes())) {
            let _ = read.note.to_string();
        }
    }
}

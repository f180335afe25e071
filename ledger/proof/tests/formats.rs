//! Tiles, receipts, policies and what a witness is asked, each written and read, and refused where
//! it is written in another way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::merkle::{self, Frontier, Hash, Node, leaf_hash};
use runledger_proof::note::{Kind, Note, SignerKey};
use runledger_proof::policy::{Distrust, Policy};
use runledger_proof::receipt::Receipt;
use runledger_proof::tile::{self, Of, Tile};
use runledger_proof::witness::{AddCheckpoint, Refused, Seen};

fn key(name: &str, kind: Kind) -> SignerKey {
    let mut secret = [0; 32];
    secret[..name.len()].copy_from_slice(name.as_bytes());
    SignerKey::new(name, kind, &secret).unwrap()
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

fn node(leaves: &[Hash]) -> impl Fn(Node) -> Option<Hash> + '_ {
    |node| {
        let start = usize::try_from(node.index << node.level).ok()?;
        Some(root(leaves.get(start..start + (1 << node.level))?))
    }
}

fn signed(size: u64, keys: &[&SignerKey]) -> Note {
    let text = Checkpoint::new("log.example", size, root(&leaves(size))).to_string();
    Note::sign(&text, keys, 1_700_000_000)
}

#[test]
fn paths_of_tiles_are_written_in_one_way() {
    let hashes = |level, index, width| Tile { of: Of::Hashes(level), index, width };
    for (path, tile) in [
        ("tile/0/000", hashes(0, 0, 256)),
        ("tile/2/x001/x234/067", hashes(2, 1_234_067, 256)),
        ("tile/0/x001/000.p/255", hashes(0, 1_000, 255)),
        ("tile/entries/273.p/112", Tile { of: Of::Entries, index: 273, width: 112 }),
    ] {
        assert_eq!(Tile::parse(path), Some(tile));
        assert_eq!(tile.to_string(), path);
    }
    for bad in [
        "",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/64/000",
        "tile/00/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/+1/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000/",
        "tile/0/000.p/1/",
        "/tile/0/000",
        "tile/entries",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/-1/000",
        "tile/0/\u{663}\u{663}\u{663}",
    ] {
        assert_eq!(Tile::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_log_of_seventy_thousand_has_the_tiles_of_the_specification() {
    let of = |level| Tile::all(Of::Hashes(level), 70_000).collect::<Vec<_>>();
    assert_eq!((of(0).len(), of(0)[273].width), (274, 112));
    assert_eq!((of(1).len(), of(1)[0].width, of(1)[1].width), (2, 256, 17));
    assert_eq!((of(2).len(), of(2)[0].width), (1, 1));
    assert_eq!(of(3).len(), 0);
    assert!(of(1)[1].is_in(70_000) && !of(1)[1].is_in(69_631));
}

#[test]
fn bundles_hold_entries_of_every_length_and_nothing_else() {
    let entries: Vec<Vec<u8>> = vec![vec![], vec![1; 65_535], vec![2; 3]];
    let mut bundle = Vec::new();
    assert!(entries.iter().all(|entry| tile::push_entry(&mut bundle, entry)));
    assert!(!tile::push_entry(&mut bundle, &[0; 65_536]));
    assert_eq!(tile::entries(&bundle, 3).unwrap(), entries);
    assert!(tile::entries(&bundle, 2).is_err());
    assert!(tile::entries(&bundle[..bundle.len() - 1], 3).is_err());
    assert!(tile::entries(&[0; 514], 257).is_err());
    assert_eq!(tile::hashes(&[7; 64], 2).unwrap().len(), 2);
    assert!(tile::hashes(&[7; 65], 2).is_none());
}

#[test]
fn a_receipt_is_read_as_it_was_written_and_shows_its_entry_only() {
    let log = key("log.example", Kind::Ed25519);
    let all = leaves(11);
    let proof = merkle::plan_inclusion(6, 11).unwrap().proof(node(&all)).unwrap();
    for extra in [None, Some(b"anything".to_vec())] {
        let receipt = Receipt { extra, index: 6, proof: proof.clone(), note: signed(11, &[&log]) };
        let read = Receipt::parse(receipt.to_string().as_bytes()).unwrap();
        assert_eq!(read, receipt);
        assert_eq!(read.leads_to(&all[6]).unwrap().size, 11);
        assert!(read.leads_to(&all[5]).is_err());
    }
}

#[test]
fn a_policy_believes_the_log_that_it_names_with_the_witnesses_that_it_asks_for() {
    let log = key("log.example", Kind::Ed25519);
    let witnesses = ["w1", "w2", "w3"].map(|name| key(name, Kind::Cosignature));
    let [one, two, three] = &witnesses;
    let text = format!(
        "# whom we trust\n\tlog {} https://log.example/\n\nwitness a {}\nwitness b {}\n\
         witness c {}\ngroup ab any a b\ngroup all-of-them all ab c\nquorum all-of-them\n",
        log.verifier(),
        one.verifier(),
        two.verifier(),
        three.verifier()
    );
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let believe = |keys: &[&SignerKey]| policy.believe(signed(5, keys).to_string().as_bytes());
    let believed = believe(&[&log, two, three]).unwrap();
    assert_eq!((believed.checkpoint.size, believed.witnesses.len()), (5, 2));
    assert_eq!(believe(&[&log, one, two]), Err(Distrust::NoQuorum));
    let unknown = Distrust::UnknownKey { origin: "log.example".to_owned() };
    assert_eq!(believe(&[one, two, three]), Err(unknown));
    let mut note = signed(5, &[&log, two, three]);
    note.signatures[2].bytes[30] ^= 1;
    assert!(matches!(policy.believe_note(&note), Err(Distrust::Forged(_))));
    let none = format!("log {}\nquorum none", log.verifier());
    assert!(Policy::parse(none.as_bytes()).unwrap().believe_note(&signed(5, &[&log])).is_ok());
}

#[test]
fn a_file_that_is_no_policy_is_refused_with_its_line() {
    let log = key("log.example", Kind::Ed25519).verifier();
    let witness = key("w1", Kind::Cosignature).verifier();
    for (line, text) in [
        (1, String::new()),
        (1, format!("log {witness}\nquorum none")),
        (2, format!("log {log}\nlog {log}\nquorum none")),
        (1, format!("witness none {witness}\nquorum none")),
        (2, format!("witness a {witness}\nwitness b {witness}\nquorum none")),
        (2, format!("witness a {witness}\nquorum b")),
        (2, format!("witness a {witness}\ngroup g 2 a\nquorum g")),
        (2, format!("witness a {witness}\ngroup g 0 a\nquorum g")),
        (3, format!("witness a {witness}\ngroup g all a\ngroup h all a\nquorum h")),
        (2, "quorum none\nquorum none".to_owned()),
        (1, "quorum none\r\n".to_owned()),
        (1, "trust everybody\nquorum none".to_owned()),
    ] {
        assert_eq!(Policy::parse(text.as_bytes()).map_err(|error| error.line), Err(line), "{text}");
    }
}

#[test]
fn a_witness_signs_what_continues_what_it_saw_and_nothing_else() {
    let log = key("log.example", Kind::Ed25519);
    let keys = [log.verifier()];
    let all = leaves(20);
    let seen = |size: u64| Seen { size, root: root(&all[..usize::try_from(size).unwrap()]) };
    let ask = |old: u64, size: u64| {
        let plan = merkle::plan_consistency(old.min(size), size).unwrap();
        let proof = plan.proof(node(&all)).unwrap();
        AddCheckpoint { old, proof, note: signed(size, &[&log]) }
    };
    let asked = AddCheckpoint::parse(ask(7, 20).to_string().as_bytes()).unwrap();
    assert_eq!(asked, ask(7, 20));
    assert_eq!(asked.judge(&keys, seen(7)).unwrap().size, 20);
    assert_eq!(ask(0, 20).judge(&keys, Seen::nothing()).unwrap().size, 20);
    assert!(ask(20, 20).judge(&keys, seen(20)).is_ok());
    let refused = |ask: AddCheckpoint, seen| ask.judge(&keys, seen).unwrap_err();
    assert_eq!(refused(ask(7, 20), seen(9)), Refused::Stale(9));
    assert_eq!(refused(ask(20, 20), Seen { size: 20, root: [0; 32] }), Refused::Fork(20));
    assert_eq!(refused(ask(7, 20), Seen { size: 7, root: [0; 32] }), Refused::Inconsistent);
    assert_eq!(refused(ask(20, 7), seen(20)).status(), 400);
    let mut other = ask(7, 20);
    other.note.signatures[0].bytes[9] ^= 1;
    assert_eq!(refused(other, seen(7)), Refused::Unsigned);
    assert_eq!(ask(7, 20).judge(&[], seen(7)).unwrap_err().status(), 404);
    let long = format!(
        "old 1\n{}\n{}",
        format!("{}\n", "A".repeat(43) + "=").repeat(64),
        signed(2, &[&log])
    );
    assert_eq!(AddCheckpoint::parse(long.as_bytes()).unwrap_err().status(), 400);
}

#[test]
fn a_checkpoint_is_written_in_one_way() {
    let good = "log.example\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    assert_eq!(Checkpoint::parse(good).unwrap().to_string(), good);
    let hash = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for bad in [
        String::new(),
        "\n".to_owned(),
        format!("a\n01\n{hash}\n"),
        format!("a\n+1\n{hash}\n"),
        format!("\n1\n{hash}\n"),
        format!("a\n1\n{hash}"),
        "a\n1\n".to_owned(),
        format!("a\n1\n{hash}\n\n"),
        format!("a\n18446744073709551616\n{hash}\n"),
        format!("a\n1\n{}\n", hash.trim_end_matches('=')),
        format!("a\n1\nAA{hash}\n"),
    ] {
        assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
    }
}

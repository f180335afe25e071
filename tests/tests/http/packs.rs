//! Audit packs: the same bytes for the same question, and no other bytes are believed.

use rstest::rstest;
use runledger::pack::{self, Order, Scope};
use runledger_ledger::checkpoints::Keys;
use runledger_ledger::clock::Entropy;
use runledger_ledger::words::RunId;
use runledger_proof::pack::{PackError, Verified, verify};
use runledger_proof::policy::Policy;
use runledger_proof::zip::{self, ZipWriter};
use serde_json::json;

use crate::evidence::Signed;
use crate::service::Database;

async fn signed(database: Database) -> Signed {
    let signed = Signed::on(database).await;
    for by in [90, 170, 300] {
        signed.grow(by).await;
        signed.sign().await;
    }
    signed
}

async fn export(signed: &Signed, size: Option<u64>, scope: Scope) -> Vec<u8> {
    let order = Order {
        workspace: signed.service.main,
        name: "main".to_owned(),
        requester: "jane@auditors.example".to_owned(),
        size,
        scope,
    };
    let store = signed.service.app.ledger().store();
    let mut bytes = Vec::new();
    pack::export(store, &signed.keys, &order, &mut bytes).await.unwrap();
    bytes
}

fn intact(pack: &[u8], policy: &Policy) -> Verified {
    let verified = verify(pack, policy).unwrap();
    assert_eq!(verified.differences, Vec::<String>::new());
    verified
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_pack_of_a_whole_log_is_the_same_every_time_and_verifies(#[case] database: Database) {
    let signed = signed(database).await;
    let pack = export(&signed, None, Scope::default()).await;
    let verified = intact(&pack, &signed.policy());
    assert_eq!((verified.events, verified.checkpoints), (562, 3));
    assert_eq!(verified.manifest.requester, "jane@auditors.example");
    signed.grow(10).await;
    signed.sign().await;
    assert!(export(&signed, Some(562), Scope::default()).await == pack, "the same bytes");
    let longer = export(&signed, None, Scope::default()).await;
    assert_eq!(intact(&longer, &signed.policy()).events, 572);
    let files = zip::read(&pack).unwrap();
    for name in
        ["README.txt", "checkpoint", "events.csv", "tlog/tile/0/002.p/50", "trust/policy.txt"]
    {
        assert!(files.iter().any(|(there, _)| *there == name), "{name}");
    }
    let trust = files.iter().find(|(name, _)| *name == "trust/policy.txt").unwrap().1;
    assert_eq!(Policy::parse(trust).unwrap(), {
        let text = format!("log {}\nquorum none\n", signed.policy().logs()[0]);
        Policy::parse(text.as_bytes()).unwrap()
    });
}

#[tokio::test]
async fn a_pack_of_a_selection_proves_each_of_its_events() {
    let signed = signed(Database::Sqlite).await;
    let run = RunId(uuid::Uuid::from_u128(42));
    let event = |kind: &str, data| json!({"type": kind, "run_id": run.to_string(), "data": data});
    let dispatched = event("run.dispatched", json!({"operation": "restore.execute"}));
    signed.service.record(&[dispatched, event("run.started", json!({}))]).await;
    signed.grow(20).await;
    signed.sign().await;
    for scope in [
        Scope { run: Some(run), ..Scope::default() },
        Scope { operation: Some("restore.execute".to_owned()), ..Scope::default() },
    ] {
        let pack = export(&signed, None, scope).await;
        let verified = intact(&pack, &signed.policy());
        assert_eq!((verified.events, verified.manifest.size), (2, 584));
        let files = zip::read(&pack).unwrap();
        assert!(files.iter().all(|(name, _)| !name.starts_with("tlog/")));
    }
}

#[tokio::test]
async fn no_changed_pack_is_believed() {
    let signed = Signed::on(Database::Sqlite).await;
    signed.grow(300).await;
    signed.sign().await;
    let policy = signed.policy();
    let pack = export(&signed, None, Scope::default()).await;
    intact(&pack, &policy);
    let believed =
        |bytes: &[u8]| verify(bytes, &policy).is_ok_and(|verified| verified.differences.is_empty());
    // Steps of a prime number: headers, names, checksums, entries and hashes are all met.
    for place in (0..pack.len()).step_by(997) {
        let mut other = pack.clone();
        other[place] ^= 1 << (place % 8);
        assert!(!believed(&other), "{place}");
    }
    // And with checksums that fit.
    let files: Vec<(&str, Vec<u8>)> =
        zip::read(&pack).unwrap().into_iter().map(|(name, bytes)| (name, bytes.to_vec())).collect();
    let again = |files: &[(&str, Vec<u8>)]| {
        let mut zip = ZipWriter::new(Vec::new());
        files.iter().for_each(|(name, bytes)| zip.add(name, bytes).unwrap());
        zip.finish().unwrap()
    };
    assert!(again(&files) == pack);
    for place in 0..files.len() {
        let mut other = files.clone();
        let byte = other[place].1.len() / 2;
        if let Some(byte) = other[place].1.get_mut(byte) {
            *byte ^= 1;
            assert!(!believed(&again(&other)), "{}", files[place].0);
        }
        let mut other = files.clone();
        let (name, _) = other.remove(place);
        assert!(!believed(&again(&other)), "without {name}");
    }
    let stranger = Keys::make("ledger.example", &Entropy::seeded(9)).unwrap();
    let stranger = Policy::of_keys(stranger.verifiers(signed.service.main));
    assert!(matches!(verify(&pack, &stranger), Err(PackError::Distrust(..))));
    assert!(verify(b"PK", &policy).is_err());
}

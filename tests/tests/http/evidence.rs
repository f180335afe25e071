//! Checkpoints, tiles and proofs over HTTP, verified with nothing but what was handed out.

use rstest::rstest;
use runledger::signer::Signing;
use runledger::signing_key::KeySource;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::checkpoints::{Anchors, Keys, Signer};
use runledger_ledger::clock::Entropy;
use runledger_ledger::merkle::{self, leaf_hash};
use runledger_proof::policy::Policy;
use runledger_proof::receipt::Receipt;
use runledger_proof::tile::{self, Of, Tile};
use runledger_proof::walk::Walk;
use runledger_proof::witness::{AddCheckpoint, Seen};
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Reply, Service};

const LOG: &str = "/v1/workspaces/main/log";

/// A service whose log somebody signs.
pub(crate) struct Signed {
    pub(crate) service: Service,
    signer: Signer,
    pub(crate) keys: Keys,
    _directory: tempfile::TempDir,
}

impl Signed {
    pub(crate) async fn on(database: Database) -> Self {
        let service = Service::on(database).await;
        let directory = tempfile::tempdir().unwrap();
        let store = service.app.ledger().store().clone();
        let anchors = Anchors::new(directory.path().join("signed"));
        let signer = Signer::new(store, service.clock.clone(), anchors);
        let keys = Keys::make("ledger.example", &Entropy::seeded(3)).unwrap();
        Signed { service, signer, keys, _directory: directory }
    }

    pub(crate) async fn grow(&self, by: usize) {
        let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
        let events: Vec<&Value> = std::iter::repeat_n(&event, by).collect();
        self.service.post_json(EVENTS, &json!(events)).await.ok(200);
    }

    pub(crate) async fn sign(&self) {
        self.signer.sign(self.service.main, &self.keys).await.unwrap().unwrap();
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::of_keys(self.keys.verifiers(self.service.main))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.service.get(&format!("{LOG}/{path}")).await
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn the_whole_log_is_verified_from_its_tiles_and_its_checkpoint(#[case] database: Database) {
    let signed = Signed::on(database).await;
    signed.grow(600).await;
    signed.sign().await;
    let reply = signed.get("checkpoint").await;
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    let checkpoint = signed.policy().believe(&reply.body).unwrap().checkpoint;
    assert_eq!(checkpoint.size, 602);
    assert!(checkpoint.origin.starts_with("ledger.example/ledger/"));
    let mut walk = Walk::default();
    for bundle in Tile::all(Of::Entries, checkpoint.size) {
        let hashes = Tile { of: Of::Hashes(0), ..bundle };
        let (entries, hashes) =
            (signed.get(&bundle.to_string()).await, signed.get(&hashes.to_string()).await);
        assert_eq!(entries.headers["cache-control"], "private, max-age=31536000, immutable");
        assert_eq!(entries.headers["content-type"], "application/octet-stream");
        let hashes = tile::hashes(&hashes.body, bundle.width).unwrap();
        let entries = tile::entries(&entries.body, bundle.width).unwrap();
        for (entry, hash) in entries.iter().zip(&hashes) {
            walk.entry(entry, Some(hash)).unwrap();
        }
    }
    walk.is(&checkpoint).unwrap();
    let above = signed.get("tile/1/000.p/2").await;
    assert_eq!(tile::hashes(&above.body, 2).unwrap().len(), 2);
    for none in ["tile/0/000.p/0", "tile/0/003", "tile/1/000.p/3", "tile/0/x000/000", "tile/9/x"] {
        assert_eq!(signed.get(none).await.problem(404), "no_such_tile", "{none}");
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn an_event_is_proved_by_what_its_reporter_keeps(#[case] database: Database) {
    let signed = Signed::on(database).await;
    assert_eq!(signed.get("checkpoint").await.problem(404), "no_checkpoint");
    assert_eq!(signed.get("events/1/proof").await.problem(404), "not_signed_yet");
    assert_eq!(signed.get("events/2/proof").await.problem(404), "unknown_event");
    signed.grow(300).await;
    signed.sign().await;
    let log = signed.service.get(&format!("{LOG}?from=270&limit=1")).await;
    let line = String::from_utf8(log.body.to_vec()).unwrap();
    let event = line.split_once("\"event\":").unwrap().1.trim_end().strip_suffix('}').unwrap();
    let proof = signed.get("events/270/proof").await;
    let receipt = Receipt::parse(&proof.body).unwrap();
    assert_eq!(receipt.index, 270);
    let believed = signed.policy().believe_note(&receipt.note).unwrap();
    assert_eq!(receipt.leads_to(&leaf_hash(event.as_bytes())).unwrap(), believed.checkpoint);
    assert!(receipt.leads_to(&leaf_hash(b"another event")).is_err());
}

#[tokio::test]
async fn a_witness_follows_the_log_from_checkpoint_to_checkpoint() {
    let signed = Signed::on(Database::Sqlite).await;
    let keys = signed.keys.verifiers(signed.service.main);
    let mut seen = Seen::nothing();
    for by in [1, 255, 3, 700] {
        signed.grow(by).await;
        signed.sign().await;
        let reply = signed.get(&format!("consistency?from={}", seen.size)).await;
        let ask = AddCheckpoint::parse(&reply.body).unwrap();
        let checkpoint = ask.judge(&keys, seen).unwrap();
        seen = Seen { size: checkpoint.size, root: checkpoint.root };
    }
    let reply = signed.get("consistency?from=3&to=258").await;
    let ask = AddCheckpoint::parse(&reply.body).unwrap();
    let checkpoint = signed.policy().believe_note(&ask.note).unwrap().checkpoint;
    let store = signed.service.app.ledger().store();
    let old = runledger_ledger::tree::root(store, signed.service.main, 3).await.unwrap();
    let proved = merkle::verify_consistency(3, 258, &old, &checkpoint.root, &ask.proof);
    assert_eq!(proved, Ok(()));
    assert_eq!(signed.get("consistency?from=1&to=4").await.problem(404), "no_checkpoint");
    assert_eq!(signed.get("consistency?from=9&to=3").await.problem(400), "invalid_query");
    assert_eq!(signed.get("consistency").await.problem(400), "invalid_query");
    assert_eq!(signed.get("checkpoint?x=1").await.problem(400), "invalid_query");
}

#[tokio::test]
async fn a_log_that_was_halted_says_why_and_goes_on_answering() {
    let signed = Signed::on(Database::Sqlite).await;
    signed.grow(3).await;
    let ledger = signed.service.app.ledger();
    assert!(ledger.halt(signed.service.main, "its end was cut off".to_owned()));
    assert!(!ledger.halt(signed.service.main, "its end was cut off".to_owned()));
    let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    let reply = signed.service.post_json(EVENTS, &event).await;
    assert_eq!(reply.problem(503), "log_forked");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("its end was cut off"), "{detail}");
    assert_eq!(signed.service.get(LOG).await.status, 200);
}

#[tokio::test]
async fn a_log_that_vanishes_from_under_a_server_stops_whatever_has_its_name_then() {
    let signed = Signed::on(Database::Sqlite).await;
    signed.grow(3).await;
    let ledger = signed.service.app.ledger().clone();
    let anchors = Anchors::new(signed._directory.path().join("another"));
    let source = KeySource::Environment(signed.keys.to_secret_text());
    let mut signing = Signing::new(ledger.clone(), anchors, source).unwrap();
    signing.round().await;
    assert_eq!(ledger.halted(signed.service.main), None);
    let file = ledger.store().sqlite().unwrap().0;
    for gone in ["PRAGMA foreign_keys = OFF", "DELETE FROM workspaces"] {
        sqlx::query(gone).execute(file).await.unwrap();
    }
    let name = "main".parse().unwrap();
    let again = ledger.create_workspace(&name, &Catalog::built_in()).await.unwrap();
    signing.round().await;
    for log in [signed.service.main, again] {
        let why = ledger.halted(log).unwrap();
        assert!(why.contains("is not in the database any more, and 5 events of it"), "{why}");
    }
}

//! Checkpoints go to witnesses, and what those sign, or refuse to sign, is told.

use std::path::Path;

use rstest::rstest;
use runledger::cosigners::{Cosigners, Cosigning};
use runledger::pack::{self, Order, Scope};
use runledger::witness::{Witness, load_or_make};
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::time::Span;
use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::note::Note;
use runledger_proof::policy::{Distrust, Policy};
use serde_json::Value;

use crate::evidence::Signed;
use crate::service::Database;

/// Starts a witness of the log of `signed`, and says which policy asks for it.
async fn witness(signed: &Signed, directory: &Path) -> String {
    let (key, entropy) = (directory.join("witness-key"), Entropy::seeded(11));
    let key = load_or_make(&key, "witness.example", &entropy).unwrap();
    let witness = Witness::new(key, &signed.policy(), Clock::system(), directory);
    let verifier = witness.verifier();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, witness.router()).await });
    format!("witness w1 {verifier} http://{address}\nquorum w1\n")
}

fn cosigning(signed: &Signed, policy: &str) -> Cosigning {
    let cosigners = Cosigners::new(Policy::parse(policy.as_bytes()).unwrap());
    signed.service.app.set_cosigners(cosigners.clone());
    Cosigning::new(signed.service.app.ledger().clone(), cosigners).unwrap()
}

/// The policy of a reader who asks for the witness, too.
fn strict(signed: &Signed, policy: &str) -> Policy {
    let logs: String = signed.policy().logs().iter().map(|key| format!("log {key}\n")).collect();
    Policy::parse(format!("{logs}{policy}").as_bytes()).unwrap()
}

async fn status(signed: &Signed) -> Value {
    signed.get("status").await.ok(200)
}

/// A pack has the key of the witness that has signed its checkpoint, and of no other, and is believed by
/// whoever asks for that witness.
async fn packed(signed: &Signed, policy: &str) {
    let other = Entropy::seeded(12);
    let directory = tempfile::tempdir().unwrap();
    let other = load_or_make(&directory.path().join("key"), "other.example", &other).unwrap();
    let other = Witness::new(other, &signed.policy(), Clock::system(), directory.path());
    let named = format!("witness w2 {}\n{policy}", other.verifier());
    let order = Order {
        workspace: signed.service.main,
        name: "main".to_owned(),
        requester: String::new(),
        size: None,
        scope: Scope::default(),
        witnesses: Some(Policy::parse(named.as_bytes()).unwrap()),
    };
    let (mut pack, store) = (Vec::new(), signed.service.app.ledger().store());
    pack::export(store, &signed.keys, &order, &mut pack).await.unwrap();
    let believed = runledger_proof::pack::verify(&pack, &strict(signed, policy)).unwrap();
    assert_eq!(believed.differences, Vec::<String>::new());
    let files = runledger_proof::zip::read(&pack).unwrap();
    let trust = files.iter().find(|(name, _)| *name == "trust/policy.txt").unwrap().1;
    let trust = Policy::parse(trust).unwrap();
    assert_eq!(trust.logs(), signed.policy().logs());
    let keys: Vec<_> = trust.witnesses().iter().map(|one| (&*one.name, &one.key)).collect();
    let asked = Policy::parse(policy.as_bytes()).unwrap();
    assert_eq!(keys, [("w1", &asked.witnesses()[0].key)]);
    assert!(!trust.asks_for_quorum(), "who must have signed, its reader says");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_checkpoint_is_published_with_the_signatures_of_its_witnesses(
    #[case] database: Database,
) {
    let signed = Signed::on(database).await;
    let before = status(&signed).await;
    assert_eq!((&before["size"], before.get("checkpoint")), (&Value::from(2), None));
    let directory = tempfile::tempdir().unwrap();
    let policy = witness(&signed, directory.path()).await;
    let (asking, strict) = (cosigning(&signed, &policy), strict(&signed, &policy));
    signed.grow(40).await;
    signed.sign().await;
    let alone = signed.get("checkpoint").await.body;
    assert_eq!(strict.believe(&alone).unwrap_err(), Distrust::NoQuorum);
    let now = status(&signed).await;
    assert_eq!(now["checkpoint"]["quorum"], false);
    assert_eq!(now["witnesses"][0]["signed"], false);

    asking.round().await;
    let believed = strict.believe(&signed.get("checkpoint").await.body).unwrap();
    assert_eq!((believed.checkpoint.size, believed.witnesses.len()), (42, 1));
    let now = status(&signed).await;
    assert_eq!(now["checkpoint"]["quorum"], true);
    assert_eq!(
        (&now["witnesses"][0]["signed"], &now["witnesses"][0]["name"]),
        (&true.into(), &"w1".into())
    );
    assert_eq!(now["witnesses"][0]["fork"], false);
    packed(&signed, &policy).await;

    // The log grows; a server that has just started learns from the witness how far it is.
    signed.grow(300).await;
    signed.sign().await;
    let cosigners = Cosigners::new(Policy::parse(policy.as_bytes()).unwrap());
    let ledger = signed.service.app.ledger().clone();
    // The other server is gone: it does not ask any more.
    let gone = Span::from_secs(61);
    signed.service.clock.advance(gone);
    Cosigning::new(ledger, cosigners.clone()).unwrap().round().await;
    let believed = strict.believe(&signed.get("checkpoint").await.body).unwrap();
    assert_eq!(believed.checkpoint.size, 342);
    assert_eq!(cosigners.said(signed.service.main, "w1").size, 342);
    signed.service.clock.advance(gone);
    // Nothing is signed a second time, and the signer goes on from a checkpoint with more signatures.
    asking.round().await;
    signed.grow(1).await;
    signed.sign().await;
    asking.round().await;
    let last = signed.get("checkpoint").await.body;
    assert_eq!(Note::parse(&last).unwrap().signatures.len(), 2);
    assert_eq!(strict.believe(&last).unwrap().checkpoint.size, 343);
}

#[tokio::test]
async fn a_witness_that_has_seen_another_history_refuses_and_the_operator_is_told() {
    let signed = Signed::on(Database::Sqlite).await;
    let directory = tempfile::tempdir().unwrap();
    let policy = witness(&signed, directory.path()).await;
    let asking = cosigning(&signed, &policy);
    signed.grow(40).await;
    signed.sign().await;
    asking.round().await;
    assert_eq!(status(&signed).await["witnesses"][0]["signed"], true);

    // The same origin and the same key, and a history of its own: longer, and as long.
    for (events, words) in [(60, "422"), (40, "42 events"), (10, "42 events")] {
        let other = Signed::on(Database::Sqlite).await;
        assert_eq!(other.policy(), signed.policy());
        let runs = other.service.dispatch(1, serde_json::json!({"operation": "backup.create"}));
        runs.await;
        other.grow(events - 1).await;
        other.sign().await;
        let asking = cosigning(&other, &policy);
        asking.round().await;
        let told = status(&other).await;
        let witness = &told["witnesses"][0];
        assert_eq!((&witness["signed"], &witness["fork"]), (&false.into(), &true.into()), "{told}");
        assert!(witness["problem"].as_str().unwrap().contains(words), "{told}");
        assert_eq!(told["checkpoint"]["quorum"], false);
    }
}

#[tokio::test]
async fn a_witness_that_is_away_is_told_and_holds_nobody_up() {
    let signed = Signed::on(Database::Sqlite).await;
    let directory = tempfile::tempdir().unwrap();
    let policy = witness(&signed, directory.path()).await;
    let away = policy.replace("http://127.0.0.1:", "http://127.0.0.1:1/");
    signed.grow(5).await;
    signed.sign().await;
    let asking = cosigning(&signed, &away);
    asking.round().await;
    let told = status(&signed).await;
    assert_eq!(told["witnesses"][0]["fork"], false);
    assert!(told["witnesses"][0]["problem"].as_str().unwrap().contains("cannot be reached"));
    // It signs whatever is signed next, once it is there again.
    let size = Checkpoint::parse(&Note::parse(&signed.get("checkpoint").await.body).unwrap().text);
    assert_eq!(size.unwrap().size, 7);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_read_can_be_as_of_a_checkpoint(#[case] database: Database) {
    let signed = Signed::on(database).await;
    signed.grow(10).await;
    signed.sign().await;
    let told = status(&signed).await;
    let root = told["checkpoint"]["root"].as_str().unwrap().to_owned();
    signed.grow(5).await;
    let service = &signed.service;
    let overview = |as_of: String| async move {
        service.get(&format!("/v1/workspaces/main/overview?as_of={as_of}")).await
    };
    let then = overview("11".to_owned()).await.ok(200);
    assert_eq!(then["runs"], 10);
    assert_eq!(overview("size:12".to_owned()).await.ok(200), then);
    assert_eq!(overview(format!("root:{root}")).await.ok(200), then);
    for (as_of, status, code) in [
        ("size:13", 404, "no_checkpoint"),
        ("root:abc", 400, "invalid_query"),
        ("size:x", 400, "invalid_query"),
    ] {
        assert_eq!(overview(as_of.to_owned()).await.problem(status), code, "{as_of}");
    }
    let none = overview(format!("root:{}", "0".repeat(64))).await;
    assert_eq!(none.problem(404), "no_checkpoint");
}

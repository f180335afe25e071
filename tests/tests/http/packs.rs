//! Audit packs: the same bytes for the same question, and no other bytes are believed.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, header};
use rstest::rstest;
use runledger::exports::Exports;
use runledger::pack::{self, Order, Recomputed, Scope, recompute};
use runledger::signing_key::KeySource;
use runledger_ledger::canonical;
use runledger_ledger::checkpoints::Keys;
use runledger_ledger::clock::Entropy;
use runledger_ledger::words::RunId;
use runledger_proof::pack::{Manifest, PackError, Verified, verify};
use runledger_proof::policy::Policy;
use runledger_proof::zip::{self, ZipWriter};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

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
        witnesses: None,
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
    for name in [
        "README.txt",
        "checkpoint",
        "events.csv",
        "tlog/tile/0/002.p/50",
        "trust/policy.txt",
        "follow-ups.ndjson",
        "custody.json",
        "schemas/entry.schema.json",
        "catalogs/00000000000000000001.toml",
        "catalogs/in-force.json",
        "projections/standings.ndjson",
        "projections/queues.ndjson",
        "projections/state.json",
    ] {
        assert!(files.iter().any(|(there, _)| *there == name), "{name}");
    }
    let trust = files.iter().find(|(name, _)| *name == "trust/policy.txt").unwrap().1;
    assert_eq!(Policy::parse(trust).unwrap(), {
        let text = format!("log {}\nquorum none\n", signed.policy().logs()[0]);
        Policy::parse(text.as_bytes()).unwrap()
    });
}

/// A run that failed, and what people said of it.
async fn decided(signed: &Signed) -> RunId {
    let run = RunId(uuid::Uuid::from_u128(77));
    let event = |kind: &str, data| json!({"type": kind, "run_id": run.to_string(), "data": data});
    signed
        .service
        .record(&[
            event("run.dispatched", json!({"operation": "restore.execute", "queue": "slow"})),
            event("run.failed", json!({"reason_code": "disk_full"})),
        ])
        .await;
    let path = format!("/v1/workspaces/main/runs/{run}/follow-up");
    let word = json!({"action": "resolve", "by": "jane@example.test", "reason": "=cmd"});
    signed.service.post_json(&path, &word).await.ok(201);
    run
}

fn file<'a>(pack: &'a [u8], name: &str) -> &'a str {
    let found = zip::read(pack).unwrap().into_iter().find(|(there, _)| *there == name);
    std::str::from_utf8(found.unwrap().1).unwrap()
}

fn lines(pack: &[u8], name: &str) -> Vec<Value> {
    file(pack, name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_follows_from_the_log_is_in_the_pack_and_is_derived_again_from_it() {
    let [mut one, mut other] = [Vec::new(), Vec::new()];
    for (database, pack) in [(Database::Sqlite, &mut one), (Database::Postgres, &mut other)] {
        let signed = Signed::on(database).await;
        signed.grow(40).await;
        let run = decided(&signed).await;
        signed.sign().await;
        *pack = export(&signed, None, Scope::default()).await;
        intact(pack, &signed.policy());
        let found = recompute(pack).await.unwrap();
        assert_eq!((found.differences, found.not), (vec![], vec![]));
        assert!(found.same >= 8, "{}", found.same);

        let standings = lines(pack, "projections/standings.ndjson");
        assert_eq!(standings.len(), 41);
        let one = standings.iter().find(|one| one["run_id"] == run.to_string()).unwrap();
        assert_eq!(one["now"]["actionability"]["status"], "resolved_by_operator");
        assert_eq!(lines(pack, "projections/queues.ndjson")[0]["queue"], "slow");
        let state: Value = serde_json::from_str(file(pack, "projections/state.json")).unwrap();
        assert_eq!(state["runs"], 41);
        let decision = &lines(pack, "follow-ups.ndjson")[0];
        assert_eq!(
            (&decision["by"], &decision["reason"]),
            (&json!("jane@example.test"), &json!("=cmd"))
        );
        assert_eq!(decision["action"], "resolved");
        assert!(file(pack, "follow-ups.csv").contains(",resolved,jane@example.test,'=cmd,"));
        assert!(file(pack, "follow-ups.csv").starts_with("# A copy for people, not authoritative"));
        let schema: Value = serde_json::from_str(file(pack, "schemas/entry.schema.json")).unwrap();
        let members = schema["properties"].as_object().unwrap();
        let entry = signed.service.app.ledger().store().log(signed.service.main, 3, 4, 1).await;
        let entry: Value = serde_json::from_slice(&entry.unwrap()[0].body).unwrap();
        let entry = entry.as_object().unwrap();
        assert!(entry.keys().all(|member| members.contains_key(member)), "{entry:?}");
        let required = schema["required"].as_array().unwrap();
        assert!(required.iter().all(|member| entry.contains_key(member.as_str().unwrap())));
    }
    assert!(one == other, "the same inputs give the same bytes, whatever the database");
}

#[tokio::test]
async fn of_a_selection_what_cannot_be_derived_again_is_named() {
    let signed = Signed::on(Database::Sqlite).await;
    signed.grow(10).await;
    let run = decided(&signed).await;
    signed.sign().await;
    let pack = export(&signed, None, Scope { run: Some(run), ..Scope::default() }).await;
    assert_eq!(intact(&pack, &signed.policy()).events, 3);
    assert_eq!(lines(&pack, "projections/standings.ndjson").len(), 1);
    let Recomputed { same, differences, not, timestamps } = recompute(&pack).await.unwrap();
    assert_eq!((same, differences, timestamps), (4, vec![], 0));
    for name in ["projections/state.json", "access-log.ndjson", "config-snapshot.json"] {
        assert!(not.iter().any(|not| not.starts_with(name)), "{name}: {not:?}");
    }
}

#[tokio::test]
async fn a_signed_pack_whose_standings_do_not_follow_from_its_log_is_found_out() {
    let signed = Signed::on(Database::Sqlite).await;
    signed.grow(10).await;
    decided(&signed).await;
    signed.sign().await;
    let pack = export(&signed, None, Scope::default()).await;
    let mut files: BTreeMap<&str, Vec<u8>> =
        zip::read(&pack).unwrap().into_iter().map(|(name, bytes)| (name, bytes.to_vec())).collect();
    let standings = "projections/standings.ndjson";
    let lie = file(&pack, standings).replace("resolved_by_operator", "actionable");
    files.insert(standings, lie.into_bytes());
    // Whoever has the key signs whatever he likes.
    let mut manifest: Manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let hash = hex::encode(Sha256::digest(&files[standings]));
    manifest.files.insert(standings.to_owned(), hash);
    let bytes = canonical::to_bytes(&serde_json::to_value(manifest).unwrap()).unwrap();
    let keys = signed.keys.of_log(signed.service.main);
    let note = runledger_proof::pack::sign(&bytes, &keys.iter().collect::<Vec<_>>());
    files.insert("manifest.json", bytes);
    files.insert("manifest.note", note.to_string().into_bytes());
    let mut zip = ZipWriter::new(Vec::new());
    files.iter().for_each(|(name, bytes)| zip.add(name, bytes).unwrap());
    let pack = zip.finish().unwrap();
    intact(&pack, &signed.policy());
    let found = recompute(&pack).await.unwrap();
    assert_eq!(found.differences, [format!("{standings} does not follow from the events")]);
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
async fn a_pack_of_an_environment_holds_its_runs_from_their_first_signal_and_its_subjects() {
    let signed = signed(Database::Sqlite).await;
    let event = |run: u128, kind: &str, data| json!({"type": kind, "run_id": RunId(uuid::Uuid::from_u128(run)).to_string(), "data": data});
    let of = |environment: &str| json!({"operation": "backup.create", "environment": environment});
    signed
        .service
        .record(&[
            event(1, "run.dispatched", of("prod")),
            event(2, "run.dispatched", of("test")),
            // A signal tells of it first, and its dispatch where it belongs.
            event(3, "run.started", json!({"operation": "backup.create"})),
            event(1, "run.started", json!({})),
            event(3, "run.dispatched", of("prod")),
            event(2, "run.started", json!({})),
        ])
        .await;
    let seen = json!({"state": "healthy", "environment": "prod"});
    let path = "/v1/workspaces/main/subjects/backup_set/wiki/observations";
    signed.service.post_json(path, &seen).await.ok(201);
    signed.sign().await;
    let scope = |operation: Option<&str>| Scope {
        environment: Some("prod".to_owned()),
        operation: operation.map(str::to_owned),
        ..Scope::default()
    };
    for (operation, events) in [(None, 6), (Some("backup.create"), 5), (Some("restore.execute"), 0)]
    {
        let pack = export(&signed, None, scope(operation)).await;
        assert_eq!(intact(&pack, &signed.policy()).events, events, "{operation:?}");
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

/// A service that makes packs in `directory`.
fn exporting(signed: &Signed, directory: &std::path::Path) {
    let source = KeySource::Environment(signed.keys.to_secret_text());
    let now = signed.service.app.ledger().now();
    signed.service.app.set_exports(Exports::open(directory.to_owned(), source, now).unwrap());
}

const PACKS: &str = "/v1/workspaces/main/audit-packs";

/// The pack, once it has ended. Whoever asks sees every state that it goes through.
async fn ended(signed: &Signed, id: &str) -> Value {
    for _ in 0..2_000 {
        let export = signed.service.get(&format!("{PACKS}/{id}")).await.ok(200);
        if export["state"] != "waiting" && export["state"] != "running" {
            return export;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the pack {id} was not made within 100 seconds");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_is_made_in_the_background_as_a_run_of_the_log(#[case] database: Database) {
    let signed = Signed::on(database).await;
    let none = signed.service.post_json(PACKS, &json!({})).await;
    assert_eq!(none.problem(503), "no_audit_packs");
    let directory = tempfile::tempdir().unwrap();
    exporting(&signed, directory.path());
    let unsigned = signed.service.post_json(PACKS, &json!({})).await;
    assert_eq!(unsigned.problem(404), "no_checkpoint");
    signed.grow(28).await;
    let auditor = json!({"name": "auditor", "role": "auditor", "reason": "audits"});
    let auditor = signed.service.post_json("/v1/workspaces/main/tokens", &auditor).await.ok(201);
    signed.sign().await;
    let jane = json!({"requester": "jane@auditors.example"});
    let by_auditor = Request::post(PACKS)
        .header(header::AUTHORIZATION, format!("Bearer {}", auditor["token"].as_str().unwrap()));
    let by_auditor = by_auditor.body(Body::from(jane.to_string())).unwrap();
    let forged = signed.service.send(by_auditor).await;
    assert_eq!(forged.problem(403), "forbidden", "one asks in one's own name");
    let asked = signed.service.post_json(PACKS, &jane).await;
    let asked = asked.ok(202);
    assert_eq!((&asked["state"], &asked["size"]), (&json!("waiting"), &json!(32)));
    let id = asked["id"].as_str().unwrap();
    let made = ended(&signed, id).await;
    assert_eq!((&made["state"], &made["events"]), (&json!("ready"), &json!(32)), "{made}");
    let read = format!("{PACKS}/{id}/file?reason=yearly%20audit");
    let file = signed.service.get(&read).await;
    assert_eq!(file.headers["content-type"], "application/zip");
    assert_eq!(file.body.len() as u64, made["bytes"].as_u64().unwrap());
    let verified = intact(&file.body, &signed.policy());
    assert_eq!(verified.manifest.requester, "jane@auditors.example");
    assert!(file.body == export(&signed, Some(32), Scope::default()).await);
    signed.service.get(&format!("{PACKS}/{id}/file?reason=test")).await;
    let log = signed.service.get("/v1/workspaces/main/log?from=32").await;
    let log = String::from_utf8(log.body.to_vec()).unwrap();
    let told = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = told.filter(|line| line["event"]["type"] == "audit_pack.read").map(|line| {
        let event = &line["event"];
        (
            event["actor"]["id"].clone(),
            event["data"]["pack"].clone(),
            event["data"]["reason"].clone(),
        )
    });
    let read = |why: &str| (json!("administrator"), json!(id), json!(why));
    let told: Vec<_> = told.collect();
    let silent = signed.service.get(&format!("{PACKS}/{id}/file")).await;
    assert_eq!(silent.problem(400), "invalid_query", "nobody reads a pack without saying why");
    assert_eq!(told, [read("yearly audit"), read("test")]);

    let events = signed.service.get(&format!("/v1/workspaces/main/runs/{id}/events")).await.ok(200);
    let kinds: Vec<&Value> =
        events["items"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["run.dispatched", "run.started", "run.succeeded"]);
    let told = &events["items"][2]["event"]["data"]["summary"]["manifest_sha256"];
    assert_eq!(told, &made["manifest"]);
    let list = signed.service.get(PACKS).await.ok(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        signed.service.get(&format!("{PACKS}/{}", RunId(uuid::Uuid::nil()))).await.problem(404),
        "unknown_pack"
    );
    // A day later there is no file any more.
    signed.service.clock.advance(runledger_ledger::time::Span::from_secs(86_401));
    assert_eq!(signed.service.get(&format!("{PACKS}/{id}")).await.ok(200)["state"], "expired");
    assert_eq!(
        signed.service.get(&format!("{PACKS}/{id}/file?reason=test")).await.problem(409),
        "pack_not_ready"
    );
    assert!(!directory.path().join(format!("{id}.zip")).exists());
}

#[tokio::test]
async fn a_pack_that_a_server_left_half_made_is_told_as_interrupted() {
    let signed = Signed::on(Database::Sqlite).await;
    signed.grow(3).await;
    signed.sign().await;
    // What a server leaves behind that was killed while it made a pack.
    let directory = tempfile::tempdir().unwrap();
    let run = RunId(uuid::Uuid::from_u128(7));
    let event = json!({"type": "run.dispatched", "run_id": run.to_string(),
        "data": {"operation": "runledger.audit_pack.export"}});
    signed.service.record(&[event]).await;
    let note = json!({"id": run, "workspace": signed.service.main, "state": "running",
        "requester": "jane", "scope": {}, "size": 5, "asked_at": "2026-01-01T00:00:00Z"});
    std::fs::write(directory.path().join(format!("{run}.json")), note.to_string()).unwrap();
    std::fs::write(directory.path().join(format!("{run}.part")), "half").unwrap();
    exporting(&signed, directory.path());
    let app = &signed.service.app;
    app.exports().unwrap().tell_interrupted(app).await;
    let export = signed.service.get(&format!("{PACKS}/{run}")).await.ok(200);
    assert_eq!(export["state"], "interrupted");
    assert!(!directory.path().join(format!("{run}.part")).exists());
    let events =
        signed.service.get(&format!("/v1/workspaces/main/runs/{run}/events")).await.ok(200);
    let last = events["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["type"], &last["event"]["data"]["reason_code"]),
        (&json!("run.failed"), &json!("interrupted"))
    );
}

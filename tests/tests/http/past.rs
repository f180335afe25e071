//! What the log alone tells of a moment, and what is of now and says so.

use axum::http::{Request, header};
use rstest::rstest;
use runledger::exports::Exports;
use runledger::signing_key::KeySource;
use runledger_ledger::time::Moment;
use serde_json::{Value, json};

use crate::evidence::Signed;
use crate::service::{Database, Service, event, run};

const MAIN: &str = "/v1/workspaces/main";

/// What was answered at a moment that has a name, and what is answered of it afterwards.
struct Asked {
    path: String,
    position: u64,
    then: Value,
}

async fn ask(service: &Service, path: &str) -> Asked {
    let then = service.get(&format!("{MAIN}/{path}")).await.ok(200);
    let position = service.size().await - 1;
    Asked { path: path.to_owned(), position, then }
}

/// Without what the log does not know to the microsecond, or not at all.
fn comparable(mut answer: Value) -> Value {
    let items = match answer.get_mut("items") {
        Some(items) => items.as_array_mut().unwrap().iter_mut().collect(),
        None => vec![&mut answer],
    };
    for item in items {
        let item = item.as_object_mut().unwrap();
        for unknown in ["last_used_at", "running"] {
            item.remove(unknown);
        }
    }
    answer
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn members_tokens_erasures_and_the_catalog_are_answered_as_they_were(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let mut asked = Vec::new();
    let mut look = async |also: Option<String>| {
        for path in ["members", "tokens", "erasures", "catalog"] {
            asked.push(ask(&service, path).await);
        }
        if let Some(also) = also {
            asked.push(ask(&service, &also).await);
        }
        service.wait(60);
    };
    look(None).await;
    let new = json!({"name": "ci", "role": "admin", "days": 1, "reason": "deploys"});
    let made = service.post_json(&format!("{MAIN}/tokens"), &new).await.ok(201);
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    look(None).await;
    let rotate = json!({"overlap_hours": 2, "reason": "every month"});
    service.post_json(&format!("{MAIN}/tokens/{id}/rotate"), &rotate).await.ok(201);
    let grant = json!({"name": "ci", "role": "operator", "reason": "less will do"});
    look(None).await;
    service.dispatch(1, json!({"operation": "restore.execute"})).await;
    service.record(&[event(1, "run.failed", json!({"reason_code": "full"}))]).await;
    let why = json!({"run": run(1), "reason": "asked for", "legal_basis": "a law"});
    let erasure = service.post_json(&format!("{MAIN}/erasures"), &why).await.ok(201);
    let erasure = format!("erasures/{}", erasure["id"].as_str().unwrap());
    look(Some(erasure.clone())).await;
    let approve = Request::builder().method("POST").uri(format!("{MAIN}/{erasure}/approve"));
    let approve = approve.header(header::AUTHORIZATION, format!("Bearer {token}"));
    service.send(approve.body(r#"{"reason": "checked"}"#.into()).unwrap()).await.ok(200);
    look(Some(erasure.clone())).await;
    service.post_json(&format!("{MAIN}/members"), &grant).await.ok(200);
    let text = runledger_ledger::catalog::Catalog::built_in()
        .text()
        .replace("[\"inventory_sync\"]", "[\"x\"]");
    service.post(&format!("{MAIN}/catalog?reason=a%20test"), text.clone()).await.ok(201);
    look(Some(erasure.clone())).await;
    service
        .post_json(&format!("{MAIN}/members/ci/remove"), &json!({"reason": "gone"}))
        .await
        .ok(200);
    look(None).await;
    for Asked { path, position, then } in asked {
        let path = format!("{MAIN}/{path}?as_of={position}");
        let answer = service.get(&path).await.ok(200);
        assert_eq!(comparable(answer), comparable(then), "{path}");
    }
    let last = service.get(&format!("{MAIN}/catalog")).await.ok(200);
    assert_eq!(last["content"], json!(text));
    let first = service.get(&format!("{MAIN}/catalog?as_of=1")).await.ok(200);
    assert_eq!((&first["position"], &first["version"]), (&json!(1), &last["version"]));
    assert_eq!(service.get(&format!("{MAIN}/catalog?as_of=0")).await.problem(404), "no_catalog");
    let none = service.get(&format!("{MAIN}/{erasure}?as_of=1")).await;
    assert_eq!(none.problem(404), "unknown_erasure");
    assert_eq!(
        service.get(&format!("{MAIN}/members?as_of=999")).await.problem(422),
        "as_of_in_future"
    );
}

#[tokio::test]
async fn what_is_of_now_alone_refuses_as_of_and_says_why() {
    let service = Service::on(Database::Sqlite).await;
    let nobody = "0195f3c0-0000-7000-8000-000000000001";
    for (path, why) in [
        ("adapters".to_owned(), "runs/{run}/timeline"),
        ("simulations".to_owned(), "give `as_of` to the simulation"),
        (format!("simulations/{nobody}"), "give `as_of` to the simulation"),
        ("log/tile/0/000.p/1".to_owned(), "`log/checkpoint` take `as_of`"),
        ("log/consistency".to_owned(), "`log/checkpoint` take `as_of`"),
        ("log/events/0/proof".to_owned(), "`log/checkpoint` take `as_of`"),
        ("correlations".to_owned(), "as a report of now would be"),
    ] {
        let reply = service.get(&format!("{MAIN}/{path}?as_of=1")).await;
        let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.problem(400), "no_as_of", "{path}: {detail}");
        assert!(detail.contains(why), "{path}: {detail}");
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn how_far_a_log_was_signed_is_told_as_of_then(#[case] database: Database) {
    let signed = Signed::on(database).await;
    let service = &signed.service;
    let (mut then, mut notes) = (Vec::new(), Vec::new());
    for (by, is_signed) in [(3, false), (4, true), (5, false), (6, true), (7, false)] {
        service.wait(30);
        signed.grow(by).await;
        service.wait(5);
        if is_signed {
            signed.sign().await;
        }
        let (position, at) = (service.size().await - 1, service.app.ledger().now());
        let status = service.get(&format!("{MAIN}/log/status")).await.ok(200);
        then.push((position, at, status));
        if is_signed {
            notes.push((position, service.get(&format!("{MAIN}/log/checkpoint")).await.body));
        }
    }
    assert_eq!((&then[0].2["size"], &then[0].2["checkpoint"]), (&json!(5), &Value::Null));
    assert_eq!((&then[2].2["size"], &then[2].2["checkpoint"]["size"]), (&json!(14), &json!(9)));
    for (position, at, status) in &then {
        for as_of in [position.to_string(), at.to_string()] {
            let path = format!("{MAIN}/log/status?as_of={as_of}");
            assert_eq!(&service.get(&path).await.ok(200), status, "{as_of}");
        }
    }
    // Within the five seconds before it was signed, the checkpoint before it was the last one.
    let (_, at, _) = &then[3];
    let before = Moment::from_micros(at.micros() - 2_000_000);
    let status = service.get(&format!("{MAIN}/log/status?as_of={before}")).await.ok(200);
    assert_eq!((&status["size"], &status["checkpoint"]["size"]), (&json!(20), &json!(9)));
    for (position, note) in &notes {
        for as_of in [position.to_string(), format!("size:{}", position + 1)] {
            let path = format!("{MAIN}/log/checkpoint?as_of={as_of}");
            assert_eq!(&service.get(&path).await.body, note, "{as_of}");
        }
    }
    let none = service.get(&format!("{MAIN}/log/checkpoint?as_of=2")).await;
    assert_eq!(none.problem(404), "no_checkpoint");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn audit_packs_are_told_as_the_log_told_of_them(#[case] database: Database) {
    let signed = Signed::on(database).await;
    let service = &signed.service;
    let directory = tempfile::tempdir().unwrap();
    let source = KeySource::Environment(signed.keys.to_secret_text());
    let now = service.app.ledger().now();
    service.app.set_exports(Exports::open(directory.path().to_owned(), source, now).unwrap());
    signed.grow(3).await;
    signed.sign().await;
    // Whoever may report can say so; it is no pack, as no server makes it.
    let other = json!({"operation": "runledger.audit_pack.export", "initiator": "eve",
        "labels": {"checkpoint_size": "5"}});
    service.dispatch(9, other).await;
    let before = service.size().await - 1;
    let order = json!({"requester": "jane@auditors.example", "operation": "backup.create"});
    service.app.projections().catch_up(service.main).await.unwrap();
    let asked = service.post_json(&format!("{MAIN}/audit-packs"), &order).await.ok(202);
    let id = asked["id"].as_str().unwrap();
    let mut made = asked.clone();
    while made["state"] != "ready" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        made = service.get(&format!("{MAIN}/audit-packs/{id}")).await.ok(200);
        assert!(made["state"] != "failed", "{made}");
    }
    let events = service.read(&format!("runs/{id}/events")).await;
    let position = |place: usize| events["items"][place]["position"].as_u64().unwrap();
    let (dispatched, started, ended) = (position(0), position(1), position(2));
    service.app.projections().catch_up(service.main).await.unwrap();
    let then = async |as_of: String| {
        let list = service.get(&format!("{MAIN}/audit-packs?as_of={as_of}")).await.ok(200);
        let one = service.get(&format!("{MAIN}/audit-packs/{id}?as_of={as_of}")).await;
        (list["items"].clone(), one)
    };
    let (none, unknown) = then(before.to_string()).await;
    assert_eq!((none, unknown.problem(404)), (json!([]), "unknown_pack".to_owned()));
    for (at, state) in [(dispatched, "waiting"), (started, "running"), (ended, "ready")] {
        let (list, one) = then(at.to_string()).await;
        let one = one.ok(200);
        assert_eq!(list, json!([one]), "the run that was only reported is no pack");
        assert_eq!(one["state"], state, "{one}");
        for same in ["id", "workspace", "requester", "scope", "size", "asked_at"] {
            assert_eq!(one[same], asked[same], "{same}");
        }
    }
    let (_, one) = then(ended.to_string()).await;
    let one = one.ok(200);
    for same in ["events", "manifest", "ended_at", "expires_at"] {
        assert_eq!(one[same], made[same], "{same}");
    }
    assert_eq!(one.get("bytes"), None, "no log tells how long a file is");
    service.wait(86_401);
    let (_, one) = then(service.app.ledger().now().to_string()).await;
    assert_eq!(one.ok(200)["state"], "expired");
    let (_, one) = then(ended.to_string()).await;
    assert_eq!(one.ok(200)["state"], "ready");
    let eve = service.get(&format!("{MAIN}/audit-packs/{}?as_of={ended}", run(9))).await;
    assert_eq!(eve.problem(404), "unknown_pack");
}

/// Every read that says of itself that it takes a moment takes each of the forms in which one is named,
/// and answers alike.
#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn every_read_takes_a_moment_in_each_of_its_forms(#[case] database: Database) {
    let signed = Signed::on(database).await;
    let service = &signed.service;
    let dispatch = json!({"operation": "restore.execute", "queue": "slow",
        "subject": {"type": "volume", "id": "a"}});
    service.dispatch(1, dispatch).await;
    service.record(&[event(1, "run.failed", json!({"reason_code": "full"}))]).await;
    let seen = json!({"state": "healthy"});
    service.post_json(&format!("{MAIN}/subjects/volume/a/observations"), &seen).await.ok(201);
    let why = json!({"run": run(1), "reason": "asked for", "legal_basis": "a law"});
    let erasure = service.post_json(&format!("{MAIN}/erasures"), &why).await.ok(201);
    signed.sign().await;
    let position = service.size().await - 1;
    let at = service.app.ledger().now();
    let status = service.get(&format!("{MAIN}/log/status")).await.ok(200);
    let root = status["checkpoint"]["root"].as_str().unwrap().to_owned();
    // Its answers are folded from the log, and not what is still there of now.
    service.wait(60);
    service.dispatch(2, json!({"operation": "backup.create"})).await;
    signed.sign().await;
    service.app.projections().catch_up(service.main).await.unwrap();

    let items = service.read("follow-ups").await["items"].clone();
    let item = items[0]["key"].as_str().unwrap().to_owned();
    let described = &service.description().0["paths"];
    let mut asked = 0;
    for (path, methods) in described.as_object().unwrap() {
        let parameters = methods["get"]["parameters"].as_array();
        let takes = parameters.into_iter().flatten().any(|one| one["name"] == "as_of");
        if !takes || !path.starts_with("/v1/workspaces/{workspace}/") {
            continue;
        }
        let path = path
            .replace("{workspace}", "main")
            .replace("{run}", &run(1))
            .replace("{queue}", "slow")
            .replace("{item}", &item)
            .replace("{erasure}", erasure["id"].as_str().unwrap())
            .replace("{pack}", &run(1))
            .replace("{type}", "volume")
            .replace("{id}", "a");
        assert!(!path.contains('{'), "{path}: what stands for that?");
        let mut answers = Vec::new();
        for as_of in [
            position.to_string(),
            format!("size:{}", position + 1),
            format!("root:{root}"),
            at.to_string(),
        ] {
            let reply = service.get(&format!("{path}?as_of={as_of}")).await;
            let known = !path.contains("/audit-packs/");
            assert_eq!(reply.status, if known { 200 } else { 404 }, "{path}?as_of={as_of}");
            answers.push(reply.body);
        }
        assert_eq!(answers[0], answers[1], "{path}");
        assert_eq!(answers[0], answers[2], "{path}");
        assert_eq!(answers[0], answers[3], "{path}");
        for (none, code, status) in [
            ("size:2".to_owned(), "no_checkpoint", 404),
            (format!("root:{}", "0".repeat(64)), "no_checkpoint", 404),
            ("root:12".to_owned(), "invalid_query", 400),
            ("size:x".to_owned(), "invalid_query", 400),
            ("yesterday".to_owned(), "invalid_query", 400),
        ] {
            let reply = service.get(&format!("{path}?as_of={none}")).await;
            assert_eq!(reply.problem(status), code, "{path}?as_of={none}");
        }
        asked += 1;
    }
    assert!(asked >= 20, "{asked} reads take a moment");
}

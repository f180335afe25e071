//! Runs: what is recorded of one, and a person's word on it.

mod list;
mod queues;

use rstest::rstest;
use runledger_ledger::time::Span;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Service};

const RUN: &str = "0195f3c0-0000-7000-8000-000000000001";
const PATH: &str = "/v1/workspaces/main/runs/0195f3c0-0000-7000-8000-000000000001";

/// A run that was dispatched, started and failed: positions 2 to 4.
async fn failed_run(service: &Service) {
    let event = |kind: &str, data: Value| json!({"type": kind, "run_id": RUN, "data": data});
    let events = json!([
        event("run.dispatched", json!({"operation": "backup.create"})),
        event("run.started", json!({})),
        event("run.failed", json!({"reason_code": "disk_full"})),
    ]);
    service.post_json(EVENTS, &events).await.ok(200);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn the_events_of_a_run_are_given_as_they_are_stored_page_by_page(#[case] database: Database) {
    let service = Service::on(database).await;
    failed_run(&service).await;
    let first = service.get(&format!("{PATH}/events?limit=2")).await.ok(200);
    let kinds = |page: &Value| -> Vec<String> {
        let events = page["items"].as_array().unwrap();
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&first), ["run.dispatched", "run.started"]);
    assert_eq!(first["next"], "2");
    let reply = service.get(&format!("{PATH}/events?limit=2&cursor=2")).await;
    let last = reply.ok(200);
    assert_eq!(kinds(&last), ["run.failed"]);
    assert_eq!(last.get("next"), None);
    assert_eq!((&last["position"], &last["at"]), (&json!(4), &json!(crate::service::START)));
    let event = &last["items"][0];
    assert_eq!((&event["position"], &event["sequence"]), (&json!(4), &json!(3)));
    assert_eq!(event["occurred_at"], crate::service::START);
    assert_eq!(event["event"]["data"]["reason_code"], "disk_full");
    assert_eq!(event["event"]["actor"], json!({"id": "administrator", "kind": "token"}));
    let stored = service.app.ledger().store().log(service.main, 4, 5, 1).await.unwrap();
    let body = String::from_utf8(stored[0].body.clone()).unwrap();
    assert!(String::from_utf8_lossy(&reply.body).contains(&body), "the bytes are changed");
    assert_eq!(event["leaf_hash"], hex::encode(&stored[0].leaf_hash));
    let past = service.get(&format!("{PATH}/events?as_of=3")).await.ok(200);
    assert_eq!(kinds(&past), ["run.dispatched", "run.started"]);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_person_resolves_a_follow_up_once_and_reopens_it(#[case] database: Database) {
    let service = Service::on(database).await;
    let path = format!("{PATH}/follow-up");
    let resolve = json!({"action": "resolve", "reason": "fixed", "note": "By hand.", "by": "ada"});
    assert_eq!(service.post_json(&path, &resolve).await.problem(404), "unknown_run");
    failed_run(&service).await;
    let reply = service.post_json(&path, &resolve).await.ok(201);
    assert_eq!(reply["event_type"], "run.follow_up_resolved");
    assert_eq!(service.post_json(&path, &resolve).await.ok(200)["status"], "duplicate");
    let reopen = json!({"action": "reopen", "reason": "again"});
    service.post_json(&path, &reopen).await.ok(201);
    let reply = service.post_json(&path, &json!({"action": "reopen", "reason": "more"})).await;
    assert_eq!(reply.problem(409), "not_resolved");
    let events = service.get(&format!("{PATH}/events?cursor=3")).await.ok(200);
    assert_eq!(events["items"][0]["event"]["data"]["by"], "ada");
    assert_eq!(events["items"][1]["event"]["data"]["by"], "administrator");
    for (body, word) in [
        (json!({"action": "close", "reason": "x"}), "close"),
        (json!({"action": "resolve"}), "reason"),
        (json!({"action": "resolve", "reason": "x", "why": "y"}), "why"),
    ] {
        let reply = service.post_json(&path, &body).await;
        assert_eq!(reply.problem(422), "invalid_body");
        assert!(reply.json()["detail"].as_str().unwrap().contains(word), "{reply:?}");
    }
}

/// What `actions` does not offer is refused with its reason, and nothing is recorded.
#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_word_that_is_not_offered_is_refused_with_the_reason(#[case] database: Database) {
    let service = Service::on(database).await;
    failed_run(&service).await;
    let say = async |run: &str, action: &str, reason: &str| {
        service.app.projections().catch_up(service.main).await.unwrap();
        let path = format!("/v1/workspaces/main/runs/{run}/follow-up");
        service.post_json(&path, &json!({"action": action, "reason": reason})).await
    };
    say(RUN, "resolve", "fixed").await.ok(201);
    let size = service.size().await;
    let reply = say(RUN, "resolve", "not_needed").await;
    assert_eq!(reply.problem(409), "already_resolved");
    assert_eq!(say(RUN, "resolve", "fixed").await.ok(200)["status"], "duplicate");
    // One that succeeded, and one that a later success has made good.
    let event =
        |run: &str, kind: &str, data: Value| json!({"type": kind, "run_id": run, "data": data});
    let [old, new] =
        ["0195f3c0-0000-7000-8000-0000000000a1", "0195f3c0-0000-7000-8000-0000000000a2"];
    let sync = json!({"operation": "inventory.sync", "subject": {"type": "tenant", "id": "77"}});
    let failed = json!({"reason_code": "timeout"});
    let events =
        json!([event(old, "run.dispatched", sync.clone()), event(old, "run.failed", failed)]);
    service.post_json(EVENTS, &events).await.ok(200);
    service.clock.advance(Span::from_secs(60));
    let events =
        json!([event(new, "run.dispatched", sync), event(new, "run.succeeded", json!({}))]);
    service.post_json(EVENTS, &events).await.ok(200);
    for (run, action, code) in [
        (old, "resolve", "made_good"),
        (old, "reopen", "not_resolved"),
        (new, "resolve", "nothing_to_do"),
        (new, "reopen", "nothing_to_do"),
    ] {
        let reply = say(run, action, "seen").await;
        assert_eq!(reply.problem(409), code, "{run} {action}");
        let standing = service.read(&format!("runs/{run}")).await;
        let actions = standing["now"]["actions"].as_array().unwrap();
        let told = actions.iter().find(|one| one["key"] == action).unwrap();
        assert_eq!((&told["offered"], &told["reason"]), (&json!(false), &json!(code)));
    }
    assert_eq!(service.size().await, size + 4, "nothing but the reports is recorded");
    // What a source reports of people who differ is recorded as it was said.
    let word = event(RUN, "run.follow_up_resolved", json!({"by": "lead", "reason": "known"}));
    service.post_json(EVENTS, &word).await.ok(201);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn of_two_who_resolve_at_once_one_is_told_that_the_other_did(#[case] database: Database) {
    let service = Service::following(database).await;
    failed_run(&service).await;
    let size = service.size().await;
    let path = format!("{PATH}/follow-up");
    let (ada, bob) =
        ["ada", "bob"].map(|by| json!({"action": "resolve", "reason": "fixed", "by": by})).into();
    let (one, other) = tokio::join!(service.post_json(&path, &ada), service.post_json(&path, &bob));
    let refused = if one.status.is_success() { &other } else { &one };
    assert!(one.status.is_success() != other.status.is_success(), "{one:?} {other:?}");
    assert_eq!(refused.problem(409), "already_resolved");
    assert_eq!(service.size().await, size + 1, "one word is recorded");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_timeline_tells_both_truths_from_when_to_when(#[case] database: Database) {
    let service = Service::on(database).await;
    let path = format!("{PATH}/timeline");
    assert_eq!(service.get(&path).await.problem(404), "unknown_run");
    let event =
        |run: &str, kind: &str, data: Value| json!({"type": kind, "run_id": run, "data": data});
    let sync = json!({"operation": "inventory.sync"});
    let events = json!([
        event(RUN, "run.dispatched", sync.clone()),
        event(RUN, "run.started", json!({})),
        event(RUN, "run.failed", json!({"reason_code": "timeout"})),
    ]);
    service.post_json(EVENTS, &events).await.ok(200);
    service.clock.advance(Span::from_secs(60));
    let later = "0195f3c0-0000-7000-8000-000000000002";
    let events =
        json!([event(later, "run.dispatched", sync), event(later, "run.succeeded", json!({})),]);
    service.post_json(EVENTS, &events).await.ok(200);
    service.app.projections().catch_up(service.main).await.unwrap();
    let told = service.get(&path).await.ok(200);
    let recorded = told["recorded"].as_array().unwrap();
    let kinds: Vec<&Value> = recorded.iter().map(|entry| &entry["type"]).collect();
    assert_eq!(kinds, ["run.dispatched", "run.started", "run.failed"]);
    assert_eq!(
        (&recorded[2]["status"], &recorded[2]["outcome"]),
        (&json!("completed"), &json!("failed"))
    );
    assert_eq!(told["freshness"][0]["freshness"], "terminal");
    let verdicts = told["actionability"].as_array().unwrap();
    assert_eq!(verdicts.len(), 2, "{told:#}");
    assert_eq!(
        (&verdicts[0]["status"], &verdicts[0]["follow_up"]),
        (&json!("actionable"), &json!(true))
    );
    assert_eq!(verdicts[0]["until"], verdicts[1]["from"]);
    assert_eq!(verdicts[1]["status"], "superseded_by_later_success");
    assert_eq!(verdicts[1]["proof"], json!({"type": "run", "run_id": later}));
    assert_eq!(
        verdicts[1]["because"],
        json!({"kind": "event", "position": 6, "type": "run.succeeded", "run_id": later})
    );
    let then = service.get(&format!("{path}?as_of=4")).await.ok(200);
    assert_eq!(then["actionability"].as_array().unwrap().len(), 1, "{then:#}");
}

#[tokio::test]
async fn a_run_of_another_workspace_is_as_unknown_as_one_that_never_was() {
    let service = Service::on(Database::Sqlite).await;
    failed_run(&service).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let foreign = format!("/v1/workspaces/other/runs/{RUN}");
    let missing = foreign.replace("001", "009");
    let body = json!({"action": "resolve", "reason": "x"}).to_string();
    for (method, rest) in [("GET", ""), ("GET", "/events"), ("POST", "/follow-up")] {
        let ask = async |path: &str| {
            let request = Service::request(method, &format!("{path}{rest}"));
            let reply = service.send(request.body(body.clone().into()).unwrap()).await;
            assert_eq!(reply.problem(404), "unknown_run");
            String::from_utf8_lossy(&reply.body).replace("009", "001")
        };
        assert_eq!(ask(&foreign).await, ask(&missing).await);
    }
    let reply = service.get("/v1/workspaces/main/runs/no-uuid/events").await;
    assert_eq!(reply.problem(400), "invalid_path");
}

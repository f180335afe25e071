//! Events in.

use std::io::Write;

use axum::body::Body;
use axum::http::header;
use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Service};

const RUN: &str = "0195f3c0-0000-7000-8000-000000000001";

fn event(kind: &str, data: Value) -> Value {
    json!({"type": kind, "run_id": RUN, "data": data})
}

fn dispatched() -> Value {
    event("run.dispatched", json!({"operation": "backup.create", "environment": "prod"}))
}

fn succeeded() -> Value {
    event("run.succeeded", json!({}))
}

fn statuses(results: &Value) -> Vec<&str> {
    let results = results["results"].as_array().unwrap();
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
    }
    results.iter().map(|result| result["status"].as_str().unwrap()).collect()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn one_event_is_answered_with_its_place_in_the_log(#[case] database: Database) {
    let service = Service::on(database).await;
    let reply = service.post_json(EVENTS, &dispatched()).await.ok(201);
    let stored = service.app.ledger().store().log(service.main, 2, 3, 1).await.unwrap();
    let expected = json!({
        "index": 0,
        "status": "recorded",
        "position": 2,
        "leaf_hash": hex::encode(&stored[0].leaf_hash),
        "run_id": RUN,
        "recorded_at": "2026-03-01T12:00:00Z",
        "event_type": "run.dispatched",
    });
    assert_eq!(reply, expected);
    let again = service.post_json(EVENTS, &dispatched()).await.ok(200);
    assert_eq!(again, json!({"index": 0, "status": "duplicate", "run_id": RUN}));
    // A lone heartbeat starts a queued run; the second one says nothing new.
    service.post_json(EVENTS, &event("run.heartbeat", json!({}))).await.ok(201);
    let again = service.post_json(EVENTS, &event("run.heartbeat", json!({}))).await.ok(200);
    assert_eq!(again["status"], "coalesced");
    let late = event("run.failed", json!({"reason_code": "x"}));
    service.post_json(EVENTS, &succeeded()).await.ok(201);
    let reply = service.post_json(EVENTS, &late).await.ok(201);
    assert_eq!(reply["event_type"], "run.late_signal");
    assert_eq!(service.size().await, 7);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn an_id_is_answered_with_its_first_event_and_means_one_event_only(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    // Without a run id each dispatch would make a run of its own; the id says that it is one.
    let first =
        json!({"id": "e1", "type": "run.dispatched", "data": {"operation": "backup.create"}});
    let made = service.post_json(EVENTS, &first).await.ok(201);
    let again = service.post_json(EVENTS, &first).await.ok(200);
    assert_eq!((&again["status"], &again["position"]), (&json!("duplicate"), &made["position"]));
    assert_eq!(again["run_id"], made["run_id"]);
    let other = json!({"id": "e1", "type": "run.dispatched", "data": {"operation": "x.y"}});
    let reply = service.post_json(EVENTS, &other).await;
    assert_eq!(reply.problem(409), "id_conflict");
    assert_eq!(reply.json()["position"], made["position"]);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_bad_event_in_a_list_harms_no_good_one(#[case] database: Database) {
    let service = Service::on(database).await;
    let body = json!([
        dispatched(),
        {"type": "run.exploded"},
        {"type": "run.started", "run_id": "0195f3c0-0000-7000-8000-00000000000f"},
        succeeded(),
        succeeded(),
    ]);
    let reply = service.post_json(EVENTS, &body).await.ok(200);
    assert_eq!(statuses(&reply), ["recorded", "refused", "refused", "recorded", "duplicate"]);
    let summary = json!({"recorded": 2, "duplicate": 1, "coalesced": 0, "existing": 0,
        "already_proven": 0, "conflict": 0, "refused": 2});
    assert_eq!(reply["summary"], summary);
    assert_eq!(reply["results"][1]["problem"]["code"], "unknown_type");
    assert_eq!(reply["results"][1]["problem"]["pointer"], "/type");
    assert_eq!(reply["results"][2]["problem"]["code"], "unknown_run");
    assert_eq!(service.size().await, 4);
}

#[tokio::test]
async fn lines_are_a_list_whatever_their_number_and_may_come_compressed() {
    let service = Service::on(Database::Sqlite).await;
    let lines = format!("{}\noops\n{}\n", dispatched(), succeeded());
    let request = Service::request("POST", EVENTS).header(header::CONTENT_ENCODING, "gzip");
    let body = Body::from(gzip(lines.as_bytes()));
    let reply = service.send(request.body(body).unwrap()).await.ok(200);
    assert_eq!(statuses(&reply), ["recorded", "refused", "recorded"]);
    let one = Service::request("POST", EVENTS).header(header::CONTENT_TYPE, "application/x-ndjson");
    let reply = service.send(one.body(Body::from(succeeded().to_string())).unwrap()).await;
    assert_eq!(statuses(&reply.ok(200)), ["duplicate"]);
    let reply = service.post_json(EVENTS, &json!([])).await.ok(200);
    assert_eq!(reply["results"], json!([]));
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn an_atomic_request_is_recorded_whole_or_not_at_all(#[case] database: Database) {
    let service = Service::on(database).await;
    let path = format!("{EVENTS}?atomic=true");
    let unknown = json!({"type": "run.started", "run_id": "0195f3c0-0000-7000-8000-00000000000f"});
    let reply = service.post_json(&path, &json!([dispatched(), unknown])).await;
    assert_eq!(reply.problem(422), "atomic_request_refused");
    let problem = reply.json();
    assert_eq!(statuses(&problem), ["refused", "refused"]);
    assert_eq!(problem["results"][0]["problem"]["code"], "atomic_request_refused");
    assert_eq!(problem["results"][1]["problem"]["code"], "unknown_run");
    let reply = service.post_json(&path, &json!([dispatched(), {"type": "nonsense"}])).await;
    assert_eq!(statuses(&reply.json()), ["refused", "refused"]);
    let mismatch = event("run.started", json!({"operation": "x.y"}));
    let reply = service.post_json(&path, &json!([dispatched(), mismatch])).await;
    assert_eq!(reply.problem(409), "atomic_request_refused");
    assert_eq!(service.size().await, 2);
    let reply = service.post_json(&path, &json!([dispatched(), succeeded()])).await.ok(200);
    assert_eq!(statuses(&reply), ["recorded", "recorded"]);
}

#[tokio::test]
async fn strict_requests_are_refused_where_others_are_taken_leniently() {
    let service = Service::on(Database::Sqlite).await;
    let path = format!("{EVENTS}?strict=true");
    let signal = event("run.started", json!({"operation": "backup.create"}));
    assert_eq!(service.post_json(&path, &signal).await.problem(409), "state_conflict");
    assert_eq!(service.size().await, 2);
    service.post_json(EVENTS, &signal).await.ok(201);
    let reply = service.post_json(&format!("{EVENTS}?strict=yes"), &signal).await;
    assert_eq!(reply.problem(400), "invalid_query");
}

#[tokio::test]
async fn one_event_that_is_refused_is_a_problem_with_a_status_of_its_own() {
    let service = Service::on(Database::Sqlite).await;
    service.post_json(EVENTS, &dispatched()).await.ok(201);
    let too_large = event("run.failed", json!({"reason_code": "x", "message": "x".repeat(70_000)}));
    for (body, status, code) in [
        (
            json!({"type": "run.started", "run_id": "0195f3c0-0000-7000-8000-00000000000f"}),
            404,
            "unknown_run",
        ),
        (event("run.started", json!({"operation": "x.y"})), 409, "identity_mismatch"),
        (event("run.follow_up_resolved", json!({"by": "ada", "reason": "x"})), 409, "not_terminal"),
        (event("run.started", json!({"wroker": "w"})), 422, "invalid_event"),
        (event("run.reconciled", json!({})), 422, "type_not_allowed"),
        (too_large, 413, "event_too_large"),
    ] {
        let reply = service.post_json(EVENTS, &body).await;
        assert_eq!(reply.problem(status), code);
    }
    let reply = service.post_json(EVENTS, &event("run.started", json!({"wroker": "w"}))).await;
    assert_eq!(reply.json()["pointer"], "/data/wroker");
    let progress = json!({"progress": {"done": -5}});
    let reply = service.post_json(EVENTS, &event("run.heartbeat", progress)).await;
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("a whole number that is not negative"), "{detail}");
    let reply = service.get("/v1/workspaces/main/runs/seven").await;
    assert_eq!(reply.problem(400), "invalid_path");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("`run`") && detail.contains("must be a UUID, such as"), "{detail}");
    assert_eq!(service.size().await, 3);
}

#[tokio::test]
async fn a_body_that_cannot_be_looked_at_is_refused_whole() {
    let service = Service::on(Database::Sqlite).await;
    for (body, status, code) in [
        (String::new(), 400, "empty_body"),
        ("{\"type\":".to_owned(), 400, "not_json"),
        ("[{}".to_owned(), 400, "not_json"),
        (format!("[{}]", "{},".repeat(5_001)), 413, "too_many_events"),
        (" ".repeat(8 * 1024 * 1024 + 1), 413, "body_too_large"),
    ] {
        assert_eq!(service.post(EVENTS, body).await.problem(status), code);
    }
    let reply = service.post_json("/v1/workspaces/other/events", &dispatched()).await;
    assert_eq!(reply.problem(404), "unknown_workspace");
}

#[tokio::test]
async fn a_small_body_that_inflates_without_end_is_cut_off() {
    let service = Service::on(Database::Sqlite).await;
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024);
    let request = Service::request("POST", EVENTS).header(header::CONTENT_ENCODING, "gzip");
    let reply = service.send(request.body(Body::from(bomb)).unwrap()).await;
    assert_eq!(reply.problem(413), "body_too_large");
    let request = Service::request("POST", EVENTS).header(header::CONTENT_ENCODING, "gzip");
    let reply = service.send(request.body(Body::from("not gzip at all")).unwrap()).await;
    assert_eq!(reply.problem(400), "unreadable_body");
}

#[tokio::test]
async fn a_dispatch_that_finds_its_key_taken_is_told_who_holds_it() {
    let service = Service::following(Database::Sqlite).await;
    let unique = json!({"type": "run.dispatched", "data": {"operation": "inventory.sync",
        "subject": {"type": "site", "id": "1"}, "unique": "subject"}});
    let holder = service.post_json(EVENTS, &unique).await.ok(201);
    let reply = service.post_json(EVENTS, &unique).await.ok(200);
    assert_eq!((&reply["status"], &reply["existing"]), (&json!("existing"), &json!(true)));
    assert_eq!(reply["run_id"], holder["run_id"]);
    assert_eq!(reply["standing"]["run_id"], holder["run_id"]);
    assert_eq!(reply["standing"]["now"]["freshness"], "fresh_queued");
    // Whoever waits for it must see that nothing moves.
    service.wait(3_600);
    let reply = service.post_json(EVENTS, &json!([unique, unique])).await.ok(200);
    for result in reply["results"].as_array().unwrap() {
        assert_eq!(result["standing"]["now"]["freshness"], "stale_queued");
    }
    assert_eq!(service.size().await, 3);
}

#[tokio::test]
async fn a_number_that_readers_would_round_is_refused_and_harms_nobody() {
    let service = Service::on(Database::Sqlite).await;
    let body = |number: &str| {
        format!(
            r#"{{"type":"subject.observed","data":{{"subject":{{"type":"database","id":"1"}},
            "state":"healthy","evidence":{{"n":{number}}}}}}}"#
        )
    };
    for number in [
        "-9223372036854775808",
        "9223372036854775807",
        "18446744073709551615",
        "9007199254740992",
        "-9007199254740992",
        "1e400",
        "-0.0",
        "1.5",
    ] {
        let list = format!("[{},{}]", body(number), body("-9007199254740991"));
        let reply = service.post(EVENTS, list).await.ok(200);
        assert_eq!(statuses(&reply), ["refused", "recorded"], "{number}: {reply}");
    }
}

#[tokio::test]
async fn a_name_that_comes_twice_is_refused_wherever_it_stands() {
    let service = Service::on(Database::Sqlite).await;
    let run = crate::service::run(1);
    for (kind, data) in [
        ("run.dispatched", r#"{"operation":"backup.create","labels":{"twice":"a","twice":"b"}}"#),
        ("run.succeeded", r#"{"operation":"backup.create","summary":{"twice":1,"twice":2}}"#),
        (
            "run.heartbeat",
            r#"{"operation":"backup.create","progress":{"parts":{"twice":[1,2],"twice":[2,2]}}}"#,
        ),
    ] {
        let event = format!(r#"{{"type":"{kind}","run_id":"{run}","data":{data}}}"#);
        let reply = service.post(EVENTS, event).await;
        assert_eq!(reply.problem(422), "invalid_event");
        assert!(reply.json()["detail"].as_str().unwrap().contains("duplicate field `twice`"));
    }
}

//! The way in for OpenLineage clients.

mod captures;

use axum::body::Body;
use axum::http::header;
use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, Service};

const ONE: &str = "/api/v1/lineage";
const BATCH: &str = "/api/v1/lineage/batch";

fn event(kind: &str) -> Value {
    json!({
        "eventType": kind,
        "eventTime": "2026-03-01T11:59:00Z",
        "producer": "https://example.org/producer",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "run": {"runId": "0195f3c0-0000-7000-8000-000000000001"},
        "job": {"namespace": "warehouse", "name": "orders"},
    })
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn an_event_is_created_once_and_taken_as_often_as_it_is_sent(#[case] database: Database) {
    let service = Service::on(database).await;
    for (kind, size) in [("START", 4), ("START", 4), ("OTHER", 4), ("COMPLETE", 5)] {
        let reply = service.post_json(ONE, &event(kind)).await;
        assert_eq!(reply.status, 201, "{kind}: {reply:?}");
        assert_eq!(service.size().await, size, "{kind}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_never_to_be_sent_again() {
    let service = Service::on(Database::Sqlite).await;
    assert_eq!(service.post(ONE, "{").await.problem(400), "not_json");
    assert_eq!(service.post(ONE, "").await.problem(400), "empty_body");
    assert_eq!(service.post(ONE, "{}").await.problem(422), "invalid_event");
    let mut nameless = event("START");
    nameless["job"]["name"] = json!("");
    assert_eq!(service.post_json(ONE, &nameless).await.problem(422), "job_missing");
    service.post_json(ONE, &event("START")).await;
    let mut other = event("COMPLETE");
    other["job"]["name"] = json!("another");
    assert_eq!(service.post_json(ONE, &other).await.problem(422), "identity_mismatch");
}

#[tokio::test]
async fn a_server_that_is_closing_asks_to_be_tried_again() {
    let service = Service::on(Database::Sqlite).await;
    service.app.ledger().store().close().await;
    let reply = service.post_json(ONE, &event("START")).await;
    assert_eq!(reply.problem(503), "database_unavailable");
    assert_eq!(reply.headers[header::RETRY_AFTER], "1");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_batch_is_answered_in_the_form_of_the_specification(#[case] database: Database) {
    let service = Service::on(database).await;
    let dataset = json!({"eventTime": "2026-03-01T11:59:00Z", "dataset": {"name": "x"}});
    let batch = json!([event("START"), 5, dataset, event("COMPLETE"), event("START")]);
    let reply = service.post_json(BATCH, &batch).await.ok(200);
    assert_eq!(reply["status"], "partial_success");
    let summary = json!({"received": 5, "successful": 4, "failed": 1, "retriable": 0,
        "non_retriable": 1});
    assert_eq!(reply["summary"], summary);
    assert_eq!(reply["failed_events"][0]["index"], 1);
    assert_eq!(service.size().await, 5);
    let reply = service.post_json(BATCH, &json!([event("START")])).await.ok(200);
    assert_eq!(reply["status"], "success");
    assert_eq!(service.post_json(BATCH, &event("START")).await.problem(400), "wrong_body_shape");
}

#[tokio::test]
async fn events_go_to_the_workspace_that_is_named() {
    let service = Service::on(Database::Sqlite).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let path = format!("{ONE}?workspace=other");
    let request = Service::request("POST", &path).header(header::CONTENT_TYPE, "application/json");
    let body = Body::from(event("START").to_string());
    assert_eq!(service.send(request.body(body).unwrap()).await.status, 201);
    assert_eq!(service.size().await, 2);
    let path = format!("{ONE}?workspace=nobody");
    assert_eq!(service.post_json(&path, &event("START")).await.problem(404), "unknown_workspace");
}

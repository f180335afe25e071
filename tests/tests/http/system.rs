//! The server itself.

use std::collections::BTreeSet;

use serde_json::json;

use crate::service::{Database, EVENTS, Service};

#[tokio::test]
async fn the_server_says_that_it_is_there_and_ready() {
    let service = Service::on(Database::Sqlite).await;
    assert_eq!(service.get("/healthz").await.body, "ok\n");
    let ready = service.get("/readyz").await.ok(200);
    let behind = json!({"behind": 2, "parked": 0});
    assert_eq!(ready, json!({"ready": true, "database": true, "read_models": behind}));
    service.app.projections().catch_up(service.main).await.unwrap();
    let ready = service.get("/readyz").await.ok(200);
    assert_eq!(ready["read_models"]["behind"], 2, "what was found counts for a second");
    service.wait(1);
    let ready = service.get("/readyz").await.ok(200);
    assert_eq!(ready["read_models"]["behind"], 0);
    // A log that is not what was signed of it stops that log, and no server.
    assert!(service.app.ledger().halt(service.main, "its end was cut off".to_owned()));
    assert_eq!(service.get("/readyz").await.ok(200)["stopped_logs"], 1);
    let metrics = service.get("/metrics").await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("runledger_stopped_logs 1"));
    service.app.ledger().store().close().await;
    service.wait(1);
    let reply = service.get("/readyz").await;
    assert_eq!(reply.ok(503)["database"], false);
}

#[tokio::test]
async fn a_database_that_is_gone_is_worth_another_try_and_tells_nothing_of_itself() {
    let service = Service::on(Database::Sqlite).await;
    service.app.ledger().store().close().await;
    let reply = service.get("/v1/workspaces").await;
    assert_eq!(reply.problem(503), "database_unavailable");
    assert_eq!(reply.headers["retry-after"], "1");
    let problem = reply.json();
    assert!(problem["instance"].as_str().unwrap().starts_with("urn:uuid:"), "{problem}");
    assert!(!problem["detail"].as_str().unwrap().contains("pool"), "{problem}");
}

#[tokio::test]
async fn requests_and_events_are_counted_by_route_and_answer() {
    let service = Service::on(Database::Sqlite).await;
    let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    service.post_json(EVENTS, &json!([event, event, {"type": "nonsense"}])).await.ok(200);
    service.get("/nowhere/at/all").await;
    let reply = service.get("/metrics").await;
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    for line in [
        "runledger_events_total{status=\"recorded\"} 2",
        "runledger_events_total{status=\"refused\"} 1",
        "runledger_http_requests_total{method=\"POST\",route=\"/v1/workspaces/{workspace}/events\",status=\"200\"} 1",
        "runledger_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "runledger_projection_lag_events 4",
        "runledger_parked_projections 0",
    ] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
}

#[tokio::test]
async fn the_description_names_every_schema_that_it_uses() {
    let service = Service::on(Database::Sqlite).await;
    let api = service.get("/openapi.json").await.ok(200);
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let text = api.to_string();
    let used: std::collections::BTreeSet<&str> = text
        .split("\"#/components/schemas/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let known = api["components"]["schemas"].as_object().unwrap();
    assert!(used.len() > 10, "{used:?}");
    for name in used {
        assert!(known.contains_key(name), "{name} is used and not described");
    }
}

#[tokio::test]
async fn every_route_is_described_and_in_the_table_of_the_readme() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let router = std::fs::read_to_string(format!("{root}/api/src/router.rs")).unwrap();
    for past_its_description in [".route(", ".nest(", ".route_service(", "fallback_service"] {
        assert!(!router.contains(past_its_description), "{past_its_description}");
    }
    let service = Service::on(Database::Sqlite).await;
    let described: BTreeSet<String> =
        service.description().routes().map(|(method, path)| format!("{method} {path}")).collect();
    assert!(described.len() >= router.matches("routes!(").count(), "{described:?}");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let table = readme.split("## HTTP API").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<String> = cells.map(str::to_owned).collect();
    assert_eq!(told, described);
}

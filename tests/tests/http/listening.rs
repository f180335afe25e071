//! When the server could not listen.

use std::time::Duration;

use rstest::rstest;
use runledger::listening::{GAP, mark, silence_counts};
use runledger_ledger::time::{Moment, Span};
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Service};

/// Sets the mark as a server does, with read models that know the whole log.
async fn listen(service: &Service) -> Option<(Moment, Moment)> {
    let projections = service.app.projections();
    for (workspace, _) in service.app.ledger().store().workspaces().await.unwrap() {
        projections.catch_up(workspace).await.unwrap();
    }
    let counts = |id, from| silence_counts(projections, id, from);
    let blind = mark(service.app.ledger(), counts).await.unwrap();
    blind.map(|blind| (blind.from, blind.to))
}

/// The events of a workspace, by type and data.
async fn events(service: &Service, workspace: &str) -> Vec<(String, Value)> {
    let reply = service.get(&format!("/v1/workspaces/{workspace}/log?from=2")).await;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let event = |line| serde_json::from_str::<Value>(line).unwrap()["event"].clone();
    let parts = |event: Value| (event["type"].as_str().unwrap().to_owned(), event["data"].clone());
    text.lines().map(event).map(parts).collect()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn blind_time_is_recorded_where_silence_counts_and_nowhere_else(#[case] database: Database) {
    let service = Service::on(database).await;
    for name in ["idle", "leased"] {
        service
            .post_json("/v1/workspaces", &json!({"name": name, "reason": "for a test"}))
            .await
            .ok(201);
    }
    let run = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    service.post_json(EVENTS, &run).await.ok(201);
    let seen = json!({"type": "worker.seen",
        "data": {"worker": "w", "lease_seconds": 30, "queues": ["q"]}});
    service.post_json("/v1/workspaces/leased/events", &seen).await.ok(201);

    let begun = service.clock.now();
    assert_eq!(listen(&service).await, None);
    service.clock.advance(GAP);
    assert_eq!(listen(&service).await, None, "a gap of 30 seconds is none");
    service.clock.set(begun.plus(Span::from_secs(40)));
    assert_eq!(listen(&service).await, None);
    let from = service.clock.now();
    // The worker's lease is over by now; it was live when the blind time began.
    let seen_again = service.post_json("/v1/workspaces/leased/events", &seen).await.ok(201);
    assert_eq!(seen_again["status"], "recorded");
    service.clock.advance(Span::from_secs(60));
    let to = service.clock.now();
    assert_eq!(listen(&service).await, Some((from, to)));
    assert_eq!(listen(&service).await, None, "the mark has moved");

    let blind = [("workspace.ledger_blind".to_owned(), json!({"from": from, "to": to}))];
    assert_eq!(events(&service, "main").await[1..], blind);
    assert_eq!(events(&service, "leased").await[2..], blind);
    assert_eq!(events(&service, "idle").await, []);
}

#[tokio::test]
async fn a_mark_that_cannot_be_set_is_made_up_for_by_the_next_one() {
    let service = Service::on(Database::Sqlite).await;
    let run = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    service.post_json(EVENTS, &run).await.ok(201);
    let begun = service.clock.now();
    listen(&service).await;
    service.clock.advance(Span::from_secs(60));
    let broken = async |_, _| Err(runledger_projections::ProjectionError::NoModel);
    assert!(mark(service.app.ledger(), broken).await.is_err());
    service.clock.advance(Span::from_secs(60));
    assert_eq!(listen(&service).await, Some((begun, service.clock.now())));
    assert_eq!(events(&service, "main").await.len(), 2);
}

#[tokio::test]
async fn marks_are_set_until_the_server_ends() {
    let service = Service::on(Database::Sqlite).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let projections = service.app.projections().clone();
    let marking = tokio::spawn(async move {
        let counts = |id, from| silence_counts(&projections, id, from);
        let ledger = projections.ledger().clone();
        runledger::listening::keep_marking(ledger, counts, Duration::from_millis(1), stopped).await;
    });
    let store = service.app.ledger().store();
    let marked = async { while store.listened_at().await.unwrap().is_none() {} };
    tokio::time::timeout(Duration::from_secs(60), marked).await.unwrap();
    stop.send_replace(true);
    marking.await.unwrap();
}

#[tokio::test]
async fn blind_time_is_seen_again_after_the_clock_has_stepped_back() {
    let service = Service::on(Database::Sqlite).await;
    let run = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    service.post_json(EVENTS, &run).await.ok(201);
    let right = service.clock.now();
    service.clock.advance(Span::from_secs(3_600));
    assert_eq!(listen(&service).await, None);
    service.clock.set(right);
    assert_eq!(listen(&service).await, None);
    service.clock.advance(Span::from_secs(60));
    assert_eq!(listen(&service).await, Some((right, service.clock.now())));
}

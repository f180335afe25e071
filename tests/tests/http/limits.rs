//! How much one token and one address may ask for, and what is answered to more.

use std::convert::Infallible;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use futures::{FutureExt as _, StreamExt as _, stream};
use rstest::rstest;
use runledger::limits::{LimitSettings, Peer, Rate};
use serde_json::json;

use crate::service::{Database, EVENTS, Reply, Service, event};

fn rate(per_second: u32) -> Option<Rate> {
    NonZeroU32::new(per_second).and_then(Rate::new)
}

async fn limited(database: Database, limits: LimitSettings) -> Service {
    let service = Service::on(database).await;
    service.app.set_limits(limits);
    service
}

/// A request from an address, through proxies.
async fn from(service: &Service, address: &str, said: Option<&str>, path: &str) -> Reply {
    let mut request = Service::request("GET", path);
    if let Some(said) = said {
        request = request.header("x-forwarded-for", said);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Peer(address.parse::<IpAddr>().unwrap()));
    service.send(request).await
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_token_that_asks_too_fast_is_told_when_to_ask_again_and_another_is_not(
    #[case] database: Database,
) {
    let service =
        limited(database, LimitSettings { token_requests: rate(1), ..LimitSettings::default() })
            .await;
    let new = json!({"name": "ci", "role": "reporter", "reason": "reports"});
    let made = service.post_json("/v1/workspaces/main/tokens", &new).await.ok(201);
    let token = made["token"].as_str().unwrap();
    for _ in 0..9 {
        service.get("/v1/workspaces").await.ok(200);
    }
    let size = service.size().await;
    let read = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&read);
    let body = stream::once(async move {
        seen.store(true, Ordering::SeqCst);
        Ok::<_, Infallible>(Bytes::from(event(1, "run.dispatched", json!({})).to_string()))
    });
    let refused = service.post(EVENTS, Body::from_stream(body)).await;
    assert_eq!(refused.problem(429), "too_many_requests");
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(refused.json()["retry_after"], 1);
    assert!(!read.load(Ordering::SeqCst), "a body that nobody wants is not read");
    assert_eq!(service.size().await, size);

    let other = Request::builder().method("POST").uri(EVENTS);
    let other = other.header(header::AUTHORIZATION, format!("Bearer {token}"));
    let dispatched = event(1, "run.dispatched", json!({"operation": "backup.create"}));
    let reply = service.send(other.body(Body::from(dispatched.to_string())).unwrap()).await;
    reply.ok(201);

    service.wait(2);
    let metrics = service.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(
        text.contains("runledger_limited_requests_total{limit=\"token_requests\"} 1"),
        "{text}"
    );
    assert!(text.contains("runledger_limit_per_second{limit=\"token_requests\"} 1"), "{text}");
    assert!(text.contains("runledger_limit_per_second{limit=\"token_events\"} 0"), "{text}");
    service.get("/v1/workspaces").await.ok(200);
    assert_eq!(service.get("/v1/workspaces").await.problem(429), "too_many_requests");
}

#[tokio::test]
async fn whoever_has_reported_too_many_events_waits_before_the_next_request() {
    let limits = LimitSettings { token_events: rate(1), ..LimitSettings::default() };
    let service = limited(Database::Sqlite, limits).await;
    let heartbeats = |count: u8| -> Vec<_> {
        let data = json!({"operation": "backup.create"});
        (1..=count).map(|number| event(number, "run.dispatched", data.clone())).collect()
    };
    // A request that was begun is taken whole.
    service.record(&heartbeats(25)).await;
    let size = service.size().await;
    let refused = service.post_json(EVENTS, &json!(heartbeats(1))).await;
    assert_eq!(refused.problem(429), "too_many_events_a_second");
    assert_eq!(refused.headers[header::RETRY_AFTER], "10");
    // What clients of other systems would lose with 429 they send again with 503.
    for path in ["/api/v1/lineage", "/api/v1/lineage/batch"] {
        let refused = service.post(path, "{}").await;
        assert_eq!(refused.problem(503), "too_many_events_a_second");
        assert_eq!(refused.headers[header::RETRY_AFTER], "10");
    }
    assert_eq!(service.size().await, size);
    service.wait(10);
    service.post_json(EVENTS, &json!(heartbeats(1))).await.ok(200);
}

#[tokio::test]
async fn an_address_is_held_to_its_limit_whatever_token_it_sends() {
    let limits = LimitSettings {
        address_requests: rate(1),
        trusted_proxies: "10.0.0.0/8".parse().unwrap(),
        ..LimitSettings::default()
    };
    let service = limited(Database::Sqlite, limits).await;
    let path = "/v1/workspaces";
    for _ in 0..10 {
        let wrong = Request::builder().uri(path).header(header::AUTHORIZATION, "Bearer none");
        let mut wrong = wrong.body(Body::empty()).unwrap();
        wrong.extensions_mut().insert(Peer("192.0.2.1".parse().unwrap()));
        assert_eq!(service.send(wrong).await.problem(401), "unauthorized");
    }
    // What it says of itself does not count, and the server is always told to be alive.
    let lied = from(&service, "192.0.2.1", Some("198.51.100.1"), path).await;
    assert_eq!(lied.problem(429), "too_many_requests");
    from(&service, "192.0.2.1", None, "/healthz").await;
    assert_eq!(from(&service, "192.0.2.1", None, "/healthz").await.status, 200);
    from(&service, "192.0.2.2", None, path).await.ok(200);
    // Behind a proxy each client has a limit of its own.
    for _ in 0..10 {
        from(&service, "10.0.0.1", Some("198.51.100.1"), path).await.ok(200);
    }
    let over = from(&service, "10.0.0.2", Some("203.0.113.1, 198.51.100.1"), path).await;
    assert_eq!(over.problem(429), "too_many_requests");
    from(&service, "10.0.0.1", Some("198.51.100.2"), path).await.ok(200);
}

#[tokio::test]
async fn a_workspace_that_holds_its_share_of_memory_is_told_to_wait_and_others_are_not() {
    let service = Service::on(Database::Sqlite).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let dispatched =
        |number| event(number, "run.dispatched", json!({"operation": "backup.create"}));
    service.post_json(EVENTS, &dispatched(1)).await.ok(201);
    let size = service.size().await;
    // Two bodies that never end, and hold all but two bytes of what a workspace may hold.
    let body = || {
        let first = Bytes::from(vec![b' '; 8 * 1024 * 1024 - 1]);
        let chunks = stream::iter([Ok::<_, Infallible>(first)]);
        Body::from_stream(chunks.chain(stream::pending()))
    };
    let mut held: Vec<_> = (0..2).map(|_| Box::pin(service.post(EVENTS, body()))).collect();
    for _ in 0..100 {
        for request in &mut held {
            assert!(request.as_mut().now_or_never().is_none());
        }
        tokio::task::yield_now().await;
    }
    let refused = service.post_json(EVENTS, &dispatched(2)).await;
    assert_eq!(refused.problem(503), "overloaded");
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(service.size().await, size, "what was answered 503 was not recorded");
    let other = "/v1/workspaces/other/events";
    service.post_json(other, &dispatched(2)).await.ok(201);
    drop(held);
    service.post_json(EVENTS, &dispatched(2)).await.ok(201);
}

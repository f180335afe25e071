//! Bodies that cannot be taken, on every way in, and what their senders are told.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::header;
use futures::StreamExt;
use serde_json::json;

use crate::service::{Database, EVENTS, Service, run};

const LINEAGE: &str = "/api/v1/lineage";
const BATCH: &str = "/api/v1/lineage/batch";
const WORKSPACES: &str = "/v1/workspaces";

/// What is sent, and with which status, code and words it is refused.
type Refused = (&'static str, Vec<u8>, u16, &'static str, &'static [&'static str]);

async fn each_is_refused(cases: Vec<Refused>) {
    let service = Service::on(Database::Sqlite).await;
    let size = service.size().await;
    for (path, body, status, code, words) in cases {
        let what = format!("{path}: {}", String::from_utf8_lossy(&body[..body.len().min(80)]));
        let reply = service.post(path, body).await;
        assert_eq!(reply.problem(status), code, "{what}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        for word in words {
            assert!(detail.contains(word), "{what}: {detail:?} does not say {word:?}");
        }
    }
    assert_eq!(service.size().await, size);
}

#[tokio::test]
async fn an_empty_body_is_told_what_should_have_come() {
    each_is_refused(vec![
        (EVENTS, b"".to_vec(), 400, "empty_body", &["empty", "send"]),
        (EVENTS, b" \r\n".to_vec(), 400, "empty_body", &["empty", "send"]),
        (LINEAGE, b"".to_vec(), 400, "empty_body", &["empty", "send"]),
        (LINEAGE, b"\n\n".to_vec(), 400, "empty_body", &["empty", "send"]),
        (BATCH, b"".to_vec(), 400, "empty_body", &["empty", "send"]),
        (WORKSPACES, b"".to_vec(), 400, "empty_body", &["empty", "send"]),
    ])
    .await;
}

#[tokio::test]
async fn a_byte_order_mark_is_named_as_what_it_is() {
    let after_mark = |json: &str| [b"\xef\xbb\xbf", json.as_bytes()].concat();
    let words: &[_] = &["byte order mark", "without"];
    each_is_refused(vec![
        (EVENTS, after_mark("{}"), 400, "not_json", words),
        (EVENTS, after_mark("[{}]"), 400, "not_json", words),
        (LINEAGE, after_mark("{}"), 400, "not_json", words),
        (BATCH, after_mark("[{}]"), 400, "not_json", words),
        (WORKSPACES, after_mark("{\"name\": \"x\"}"), 400, "not_json", words),
    ])
    .await;
}

#[tokio::test]
async fn half_of_a_surrogate_pair_is_no_character() {
    let words: &[_] = &["surrogate"];
    let event = |text: &str| {
        let run = run(1);
        let data =
            format!(r#"{{"operation":"backup.create","reason_code":"x","message":"{text}"}}"#);
        format!(r#"{{"type":"run.failed","run_id":"{run}","data":{data}}}"#).into_bytes()
    };
    let lineage = |job: &str| {
        format!(r#"{{"eventType":"START","run":{{"runId":"1"}},"job":{{"namespace":"n","name":"{job}"}}}}"#)
            .into_bytes()
    };
    let mut cases: Vec<Refused> = Vec::new();
    for half in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83dA"] {
        cases.push((EVENTS, event(half), 422, "invalid_event", words));
        cases.push((LINEAGE, lineage(half), 400, "not_json", words));
        let name = format!(r#"{{"name": "{half}"}}"#).into_bytes();
        cases.push((WORKSPACES, name, 400, "not_json", words));
    }
    each_is_refused(cases).await;
    // Both halves are one.
    let service = Service::on(Database::Sqlite).await;
    assert_eq!(service.post(EVENTS, event(r"\ud83d\ude00")).await.ok(201)["status"], "recorded");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_how_large_it_may_be() {
    const MIB: usize = 1024 * 1024;
    let words: &[_] = &["8388608 bytes", "several requests"];
    each_is_refused(vec![
        (EVENTS, vec![b' '; 8 * MIB + 1], 413, "body_too_large", words),
        (LINEAGE, vec![b' '; 8 * MIB + 1], 413, "body_too_large", words),
        (BATCH, vec![b' '; 8 * MIB + 1], 413, "body_too_large", words),
        (
            EVENTS,
            vec![b'\n'; 5_001].into_iter().flat_map(|end| [b'{', b'}', end]).collect(),
            413,
            "too_many_events",
            &["5000 events", "several requests"],
        ),
    ])
    .await;
    let service = Service::on(Database::Sqlite).await;
    // It says beforehand that it is too large; or it goes on and on.
    let announced = Service::request("POST", EVENTS).header(header::CONTENT_LENGTH, 10 * MIB);
    let chunk = || Ok::<_, Infallible>(Bytes::from_static(&[b' '; 65_536]));
    let endless = Service::request("POST", EVENTS);
    for (request, body) in [
        (announced, Body::empty()),
        (endless, Body::from_stream(futures::stream::repeat_with(chunk))),
    ] {
        let reply = service.send(request.body(body).unwrap()).await;
        assert_eq!(reply.problem(413), "body_too_large");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(words.iter().all(|word| detail.contains(word)), "{detail}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_is_given_up_and_frees_what_it_held() {
    let service = Service::on(Database::Sqlite).await;
    let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    service.post_json(EVENTS, &event).await.ok(201);
    let size = service.size().await;
    // From here on the time passes as soon as nothing else is to be done.
    tokio::time::pause();
    let begun = futures::stream::iter([Ok::<_, Infallible>(Bytes::from(event.to_string()))]);
    let body = Body::from_stream(begun.chain(futures::stream::pending()));
    let request = Service::request("POST", EVENTS).body(body).unwrap();
    let reply = service.send(request).await;
    tokio::time::resume();
    assert_eq!(reply.problem(503), "body_too_slow");
    assert_eq!(reply.headers["retry-after"], "1");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("nothing of it was recorded"), "{detail}");
    assert_eq!(service.size().await, size);
}

//! The verdicts on the queue that a run waited in.

use axum::body::Body;
use axum::http::{Request, header};
use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, Service, run};

fn waits(environment: &str) -> Value {
    json!({"operation": "backup.set.create", "environment": environment, "queue": "q"})
}

/// What `queue` of a timeline says: minutes, verdicts, and what began each.
fn told(timeline: &Value) -> Vec<(String, String, Value)> {
    let verdicts = timeline["queue"]["verdicts"].as_array().unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let minute = |value: &Value| word(value)[14..16].to_owned();
    let of = |one: &Value| (minute(&one["from"]), word(&one["verdict"]), one["because"].clone());
    verdicts.iter().map(of).collect()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_timeline_tells_what_was_true_of_the_queue_while_the_run_waited(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let new =
        json!({"name": "held", "role": "operator", "environments": ["prod"], "reason": "a test"});
    let token = service.post_json("/v1/workspaces/main/tokens", &new).await.ok(201);
    let token = token["token"].as_str().unwrap().to_owned();
    let lease = json!({"worker": "w", "queues": ["q"], "lease_seconds": 120});
    let seen = json!({"type": "worker.seen", "data": lease});
    let begun = service.dispatch(1, waits("prod")).await;
    service.wait(60);
    let named = service.record(std::slice::from_ref(&seen)).await;
    service.wait(240);
    service.dispatch(2, waits("stage")).await;
    let again = service.record(&[seen]).await;
    service.wait(60);
    service.signal(2, "run.started", json!({})).await;
    service.wait(60);
    let ended = service.signal(1, "run.started", json!({})).await;
    service.wait(60);
    service.app.projections().catch_up(service.main).await.unwrap();
    let path = format!("/v1/workspaces/main/runs/{}/timeline", run(1));
    let timeline = service.get(&path).await.ok(200);
    let event =
        |position: u64, kind: &str| json!({"kind": "event", "position": position, "type": kind});
    let dispatched =
        json!({"kind": "event", "position": begun, "type": "run.dispatched", "run_id": run(1)});
    let time = json!({"kind": "deadline"});
    let expected = [
        ("00", "unknown", dispatched),
        ("01", "moving", event(named, "worker.seen")),
        ("03", "no_worker", time.clone()),
        ("05", "moving", event(again, "worker.seen")),
    ];
    let expected: Vec<_> =
        expected.map(|(at, was, why)| (at.to_owned(), was.to_owned(), why)).into_iter().collect();
    assert_eq!(told(&timeline), expected, "{timeline:#}");
    let queue = &timeline["queue"];
    assert_eq!(queue["queue"], "q");
    assert!(queue.get("truncated").is_none() && queue.get("told_until").is_none(), "{queue:#}");
    // It is over with the start, and what a question as of then is answered with says the same.
    let last = queue["verdicts"].as_array().unwrap().last().unwrap();
    let entries = timeline["recorded"].as_array().unwrap();
    let start = entries.iter().find(|entry| entry["position"] == ended).unwrap();
    assert_eq!(last["until"], start["recorded_at"]);
    let then = service.get(&path.replace("/timeline", &format!("?as_of={again}"))).await.ok(200);
    assert_eq!(then["now"]["queue"]["verdict"], "moving");
    let then = service.get(&format!("{path}?as_of={named}")).await.ok(200);
    assert_eq!(told(&then), expected[..2]);

    // A run that never waited in a queue has none.
    service.dispatch(3, json!({"operation": "backup.set.create"})).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let other = service.get(&path.replace(&run(1), &run(3))).await.ok(200);
    assert!(other.get("queue").is_none(), "{other:#}");

    // Who does not see the other run is told the same verdicts, and nothing of it.
    let request =
        Request::builder().uri(&path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    let narrowed = service.send(request.body(Body::empty()).unwrap()).await.ok(200);
    assert_eq!(told(&narrowed), expected);
    assert!(!narrowed.to_string().contains(&run(2)), "{narrowed:#}");
}

#[tokio::test]
async fn what_a_run_does_that_is_not_seen_is_told_as_elsewhere() {
    let service = Service::on(Database::Sqlite).await;
    let new =
        json!({"name": "held", "role": "operator", "environments": ["prod"], "reason": "a test"});
    let token = service.post_json("/v1/workspaces/main/tokens", &new).await.ok(201);
    let token = token["token"].as_str().unwrap().to_owned();
    service.dispatch(1, waits("prod")).await;
    service.dispatch(2, waits("stage")).await;
    service.wait(60);
    let started = service.signal(2, "run.started", json!({})).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let path = format!("/v1/workspaces/main/runs/{}/timeline", run(1));
    let whole = told(&service.get(&path).await.ok(200));
    let cause =
        json!({"kind": "event", "position": started, "type": "run.started", "run_id": run(2)});
    assert_eq!(whole.last().unwrap(), &("01".to_owned(), "moving".to_owned(), cause));
    let request =
        Request::builder().uri(&path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    let narrowed = service.send(request.body(Body::empty()).unwrap()).await.ok(200);
    let elsewhere = json!({"kind": "elsewhere"});
    assert_eq!(told(&narrowed).last().unwrap(), &("01".to_owned(), "moving".to_owned(), elsewhere));
    assert!(!narrowed.to_string().contains(&run(2)), "{narrowed:#}");
}

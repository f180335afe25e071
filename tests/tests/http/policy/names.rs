//! In whose name something is said: the log keeps who sent it, and nobody speaks for another.

use rstest::rstest;
use serde_json::{Value, json};

use super::{ask, token};
use crate::service::{Database, EVENTS, Service, event, run};

/// The event at the end of the log.
async fn last(service: &Service) -> Value {
    let from = service.size().await - 1;
    let reply = service.get(&format!("/v1/workspaces/main/log?from={from}")).await;
    reply.json()["event"].clone()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn whoever_is_named_the_log_keeps_who_sent_it(#[case] database: Database) {
    let service = Service::on(database).await;
    let reporter = token(&service, "main", "reporter", None).await;
    let dispatched = |number: u8, actor: Value| {
        let mut event = event(number, "run.dispatched", json!({"operation": "backup.create"}));
        if !actor.is_null() {
            event["actor"] = actor;
        }
        event
    };
    let send =
        async |event: &Value| ask(&service, &reporter, "POST", EVENTS, &event.to_string()).await;
    let own = json!({"id": "reporter-all", "kind": "token"});
    send(&dispatched(1, Value::Null)).await.ok(201);
    let alone = last(&service).await;
    assert_eq!((&alone["actor"], alone.get("sender")), (&own, None));
    let ann = json!({"id": "ann", "kind": "user"});
    send(&dispatched(2, ann.clone())).await.ok(201);
    let named = last(&service).await;
    assert_eq!((&named["actor"], &named["sender"]), (&ann, &own));
    let size = service.size().await;
    for (id, kind) in [
        ("ann", "person"),
        ("admin", "token"),
        ("a", "adapter"),
        ("secret-scanning", "system"),
        ("administrator", "administrator"),
        ("ann", "Person"),
        ("ann", "person\u{200b}"),
    ] {
        let reply = send(&dispatched(3, json!({"id": id, "kind": kind}))).await;
        assert_eq!(reply.problem(403), "forbidden", "{kind}");
    }
    assert_eq!(service.size().await, size);
    // The administrator speaks for others, and the log says so.
    let for_ann = dispatched(4, json!({"id": "ann", "kind": "person"}));
    service.post_json(EVENTS, &for_ann).await.ok(201);
    assert_eq!(last(&service).await["sender"]["id"], "administrator");
}

#[tokio::test]
async fn nobody_closes_a_follow_up_in_the_name_of_another() {
    let service = Service::on(Database::Sqlite).await;
    let failed = [
        event(1, "run.dispatched", json!({"operation": "backup.create"})),
        event(1, "run.failed", json!({"reason_code": "x"})),
    ];
    service.record(&failed).await;
    let operator = token(&service, "main", "operator", None).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let size = service.size().await;
    let path = format!("/v1/workspaces/main/runs/{}/follow-up", run(1));
    let word = |more: Value| {
        let mut word = json!({"action": "resolve", "reason": "fixed"});
        word.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        word.to_string()
    };
    let said = async |body: String| ask(&service, &operator, "POST", &path, &body).await;
    assert_eq!(said(word(json!({"by": "ann"}))).await.problem(403), "forbidden");
    assert_eq!(said(word(json!({"reason": "\u{200b}"}))).await.problem(422), "invalid_body");
    let resolved = |actor: Value, by: Value| {
        let mut event = event(1, "run.follow_up_resolved", json!({"reason": "fixed"}));
        for (name, value) in [("actor", actor), ("by", by)] {
            if !value.is_null() {
                let of = if name == "by" { &mut event["data"] } else { &mut event };
                of[name] = value;
            }
        }
        event.to_string()
    };
    let ann = json!({"id": "ann", "kind": "user"});
    for forged in [resolved(ann.clone(), Value::Null), resolved(Value::Null, json!("ann"))] {
        let reply = ask(&service, &operator, "POST", EVENTS, &forged).await;
        assert_eq!(reply.problem(403), "forbidden", "{forged}");
    }
    assert_eq!(service.size().await, size);
    let own = resolved(Value::Null, json!("operator-all"));
    ask(&service, &operator, "POST", EVENTS, &own).await.ok(201);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_is_reported_elsewhere_under_an_id_is_neither_seen_nor_taken(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let (one, other) = (
        token(&service, "main", "reporter", Some(&["production"])).await,
        token(&service, "main", "reporter", Some(&["staging"])).await,
    );
    let nightly = |number: u8, environment: &str, source: Option<&str>| {
        let data = json!({"operation": "backup.create", "environment": environment});
        let mut event = event(number, "run.dispatched", data);
        event["id"] = json!("nightly-1");
        if let Some(source) = source {
            event["source"] = json!(source);
        }
        event.to_string()
    };
    for (numbers, source) in [([1, 2], Some("ci")), ([3, 4], None)] {
        let first = nightly(numbers[0], "production", source);
        ask(&service, &one, "POST", EVENTS, &first).await.ok(201);
        let same = nightly(numbers[1], "staging", source);
        ask(&service, &other, "POST", EVENTS, &same).await.ok(201);
        let again = ask(&service, &other, "POST", EVENTS, &same).await.ok(200);
        assert_eq!(again["status"], "duplicate", "sent again it is the same");
        let used = nightly(9, "production", source);
        assert_eq!(ask(&service, &one, "POST", EVENTS, &used).await.problem(409), "id_conflict");
    }
    let long = nightly(5, "production", Some(&"x".repeat(255)));
    let long = ask(&service, &one, "POST", EVENTS, &long).await;
    assert_eq!(long.problem(422), "invalid_event");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_hidden_run_is_answered_as_none_whatever_is_asked(#[case] database: Database) {
    let service = Service::on(database).await;
    let hidden = json!({"operation": "backup.create", "environment": "staging"});
    service.dispatch(1, hidden).await;
    service.dispatch(2, json!({"operation": "backup.create"})).await;
    let held = token(&service, "main", "operator", Some(&["production"])).await;
    let size = service.size().await;
    for strict in ["", "?strict=true"] {
        for (kind, data) in [
            ("run.heartbeat", json!({})),
            ("run.started", json!({})),
            ("run.failed", json!({"reason_code": "x"})),
            ("run.follow_up_resolved", json!({"reason": "x"})),
            ("run.heartbeat", json!({"operation": "backup.create", "environment": "staging"})),
        ] {
            let answer = async |number: u8| {
                let body = event(number, kind, data.clone()).to_string();
                let reply = ask(&service, &held, "POST", &format!("{EVENTS}{strict}"), &body).await;
                let text = String::from_utf8(reply.body.to_vec()).unwrap();
                (reply.status, text.replace(&run(number), "…"))
            };
            let missing = answer(9).await;
            assert!(missing.0.is_client_error(), "{missing:?}");
            for number in [1, 2] {
                assert_eq!(answer(number).await, missing, "{kind}{strict}");
            }
        }
    }
    assert_eq!(service.size().await, size);
}

//! Who is held to some environments sees and reports nothing of the others.

use axum::http::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};

use super::{ask, token};
use crate::service::{Database, EVENTS, Service, event, run};

/// In every word of a run that a reader of production must not see.
pub(crate) const HIDDEN: &str = "marker-of-staging";
/// In what a viewer must not see of a run that they do see.
pub(crate) const EVIDENCE: &str = "marker-of-evidence";

/// Runs in two environments and of the workspace itself: ended badly, waiting, and superseded.
pub(crate) async fn happenings(service: &Service) {
    let of = |environment: Option<&str>, word: &str| {
        let mut data = json!({
            "operation": format!("{word}.create"), "queue": word, "fingerprint": word,
            "subject": {"type": word, "id": word}, "labels": {"l": EVIDENCE},
            "external_ids": [{"source": "s", "kind": "k", "id": word}],
        });
        if let Some(environment) = environment {
            data["environment"] = json!(environment);
        }
        data
    };
    let failed = |word: &str| json!({"reason_code": word, "message": EVIDENCE});
    let (own, other) = ("own", HIDDEN);
    let events = [
        event(1, "run.dispatched", of(Some("production"), own)),
        event(1, "run.failed", failed(own)),
        event(2, "run.dispatched", of(Some("production"), own)),
        event(3, "run.dispatched", of(Some("staging"), other)),
        event(3, "run.failed", failed(other)),
        event(4, "run.dispatched", of(Some("staging"), other)),
        event(5, "run.dispatched", of(None, other)),
        event(5, "run.failed", failed(other)),
        event(6, "run.dispatched", of(None, other)),
    ];
    service.record(&events).await;
    service.app.projections().catch_up(service.main).await.unwrap();
}

/// Every read that a role for an environment may ask, also of what it must not see.
fn reads() -> Vec<String> {
    let mut reads = Vec::new();
    let lists = [
        "overview",
        "environments",
        "operations",
        "queues",
        "follow-ups",
        "runs",
        "runs?limit=1",
        "runs?environment=staging",
        "runs?environment=",
        "overview?environment=staging",
        "operations?environment=staging",
        "follow-ups?environment=staging",
        "runs?status=queued&limit=1",
        "runs?outcome=failed",
        "diff?from=2",
    ];
    reads.extend(lists.map(str::to_owned));
    for word in [HIDDEN, "staging"] {
        reads.push(format!("runs?text={word}"));
        reads.push(format!("runs?queue={word}"));
        reads.push(format!("runs?subject={word}/{word}"));
        reads.push(format!("runs?operation={word}.create"));
    }
    for number in 1..=6 {
        let run = run(number);
        reads.push(format!("runs?text={run}"));
        for tail in ["", "/events", "/timeline", "/diff?from=2"] {
            reads.push(format!("runs/{run}{tail}"));
        }
    }
    for environment in ["&environment=staging", ""] {
        reads.push(format!("correlations?source=s&kind=k&id={HIDDEN}{environment}"));
    }
    let past: Vec<String> = reads
        .iter()
        .filter(|read| !read.starts_with("correlations") && !read.contains("diff"))
        .map(|read| {
            format!(
                "{read}{}as_of=2026-03-01T12:00:00Z",
                if read.contains('?') { "&" } else { "?" }
            )
        })
        .collect();
    reads.extend(past);
    reads
}

/// What was asked for may stand in the answer: an id that is not known here, a filter's name.
fn without_the_question(text: &str, path: &str) -> String {
    let mut text = text.to_owned();
    for number in 3..=6 {
        if path.contains(&run(number)) {
            text = text.replace(&format!("no run {} is known here", run(number)), "");
        }
    }
    if path.contains("correlations") {
        text = text.replace(HIDDEN, "").replace("staging", "");
    }
    text.replace("\"environment\":\"staging\"", "")
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn nothing_of_another_environment_is_in_any_answer(#[case] database: Database) {
    let service = Service::on(database).await;
    happenings(&service).await;
    let mut hidden_from_somebody = 0;
    for role in ["viewer", "auditor", "operator"] {
        let held = token(&service, "main", role, Some(&["production"])).await;
        let whole = token(&service, "main", role, None).await;
        service.app.projections().catch_up(service.main).await.unwrap();
        for read in reads() {
            let path = format!("/v1/workspaces/main/{read}");
            let reply = ask(&service, &held, "GET", &path, "").await;
            assert!(!reply.status.is_server_error(), "{path}: {reply:?}");
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            let seen = without_the_question(&text, &path);
            for word in [HIDDEN, "staging", &run(3), &run(4), &run(5), &run(6)] {
                assert!(!seen.contains(word), "{role} sees {word} at {path}: {text}");
            }
            let all = ask(&service, &whole, "GET", &path, "").await;
            hidden_from_somebody += u32::from(String::from_utf8_lossy(&all.body).contains(HIDDEN));
        }
    }
    assert!(hidden_from_somebody > 60, "{hidden_from_somebody}: there must be something to hide");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn counts_are_those_of_the_environments_in_sight(#[case] database: Database) {
    let service = Service::on(database).await;
    happenings(&service).await;
    let held = token(&service, "main", "viewer", Some(&["production"])).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let get = async |path: &str| {
        ask(&service, &held, "GET", &format!("/v1/workspaces/main/{path}"), "").await.ok(200)
    };
    let overview = get("overview").await;
    assert_eq!((&overview["runs"], &overview["waiting"]), (&json!(2), &json!(1)));
    assert_eq!(overview["follow_up_items"], 1);
    assert_eq!(get("runs").await["items"].as_array().unwrap().len(), 2);
    assert_eq!(get("environments").await["items"].as_array().unwrap().len(), 1);
    let queues = get("queues").await;
    let names: Vec<&Value> =
        queues["items"].as_array().unwrap().iter().map(|queue| &queue["queue"]).collect();
    assert_eq!(names, [&json!("own")]);
    let mut cursor = String::new();
    let mut seen = 0;
    loop {
        let page = get(&format!("runs?limit=1{cursor}")).await;
        seen += page["items"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, 2);
}

#[tokio::test]
async fn a_viewer_sees_verdicts_and_not_what_they_rest_on() {
    let service = Service::on(Database::Sqlite).await;
    happenings(&service).await;
    let viewer = token(&service, "main", "viewer", None).await;
    let auditor = token(&service, "main", "auditor", None).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    for read in ["runs", "follow-ups", &format!("runs/{}", run(1)), "diff?from=2"] {
        let path = format!("/v1/workspaces/main/{read}");
        let seen = ask(&service, &viewer, "GET", &path, "").await.ok(200).to_string();
        assert!(!seen.contains(EVIDENCE), "{path}: {seen}");
        assert!(seen.contains("actionab"), "{path}: the verdict itself is there");
        let all = ask(&service, &auditor, "GET", &path, "").await.ok(200).to_string();
        assert!(all.contains(EVIDENCE), "{path}");
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn who_is_held_to_an_environment_reports_in_no_other(#[case] database: Database) {
    let service = Service::on(database).await;
    happenings(&service).await;
    let reporter = token(&service, "main", "reporter", Some(&["production"])).await;
    let before = service.size().await;
    let send = async |event: Value| {
        let reply = ask(&service, &reporter, "POST", EVENTS, &event.to_string()).await;
        (reply.status, reply.json()["code"].as_str().unwrap_or_default().to_owned())
    };
    let dispatched = |environment: Value| {
        let mut data = json!({"operation": "backup.create"});
        if !environment.is_null() {
            data["environment"] = environment;
        }
        json!({"type": "run.dispatched", "data": data})
    };
    let outside = (StatusCode::FORBIDDEN, "outside_environments".to_owned());
    for environment in [json!("staging"), json!(null)] {
        assert_eq!(send(dispatched(environment)).await, outside);
    }
    let unknown = (StatusCode::NOT_FOUND, "unknown_run".to_owned());
    // A run of another environment, one of the workspace itself, and one that is not there.
    for number in [4, 6, 99] {
        assert_eq!(send(event(number, "run.started", json!({}))).await, unknown, "{number}");
    }
    let named = json!({"environment": "production", "operation": "own.create"});
    assert_eq!(send(event(4, "run.started", named)).await, unknown);
    assert_eq!(
        send(json!({"type": "worker.seen", "data": {
        "worker": "w", "queues": ["own"], "lease_seconds": 60}}))
        .await,
        outside
    );
    assert_eq!(
        send(json!({"type": "subject.observed", "data": {
        "subject": {"type": "t", "id": "1"}, "state": "healthy", "environment": "staging"}}))
        .await,
        outside
    );
    let by_id = json!({"type": "run.started", "environment": "staging",
        "external_id": {"source": "s", "kind": "k", "id": HIDDEN}, "data": {}});
    assert_eq!(send(by_id).await, outside);
    assert_eq!(service.size().await, before, "nothing of that is recorded");
    // What is wrong within their own environment is said as to everybody.
    let named = json!({"source": "ci", "kind": "job", "id": "42"});
    for _ in 0..2 {
        let mut data = json!({"operation": "backup.create", "environment": "production"});
        data["external_ids"] = json!([named]);
        let made = send(json!({"type": "run.dispatched", "data": data})).await;
        assert_eq!(made.0, StatusCode::CREATED);
    }
    let by_id = json!({"type": "run.heartbeat", "external_id": named,
        "data": {"environment": "production"}});
    let ambiguous = (StatusCode::NOT_FOUND, "ambiguous_external_id".to_owned());
    assert_eq!(send(by_id).await, ambiguous);
    assert_eq!(send(event(2, "run.started", json!({}))).await.0, StatusCode::CREATED);
    assert_eq!(send(dispatched(json!("production"))).await.0, StatusCode::CREATED);
    // A reporter says nothing as somebody else, and has no say on follow-ups.
    let mut forged = dispatched(json!("production"));
    forged["actor"] = json!({"id": "administrator", "kind": "token"});
    assert_eq!(send(forged).await, (StatusCode::FORBIDDEN, "forbidden".to_owned()));
    let word = event(1, "run.follow_up_resolved", json!({"reason": "fixed"}));
    assert_eq!(send(word).await, (StatusCode::FORBIDDEN, "forbidden".to_owned()));
}

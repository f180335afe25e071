//! Runs that are named by what another system calls them.

use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Service, run};

const LOOK_UP: &str = "/v1/workspaces/main/correlations";

fn laravel(id: &str) -> Value {
    json!({"source": "laravel", "kind": "job", "id": id})
}

/// An event of the job `id` in `prod`.
fn event(kind: &str, id: &str, data: Value) -> Value {
    json!({"type": kind, "external_id": laravel(id), "environment": "prod", "data": data})
}

fn statuses(reply: &Value) -> Vec<&str> {
    let results = reply["results"].as_array().unwrap();
    results.iter().map(|result| result["status"].as_str().unwrap()).collect()
}

fn runs(reply: &Value) -> Vec<&Value> {
    reply["results"].as_array().unwrap().iter().map(|result| &result["run_id"]).collect()
}

impl Service {
    async fn look_up(&self, query: &str) -> crate::service::Reply {
        self.get(&format!("{LOOK_UP}?{query}")).await
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_bridge_for_failed_jobs_needs_no_run_id(#[case] database: Database) {
    let service = Service::following(database).await;
    // The application dispatches, and gives the job nothing but what the framework gives it.
    let subject = json!({"type": "site", "id": "1"});
    let dispatch = json!({"type": "run.dispatched", "data": {
        "operation": "inventory.sync", "environment": "prod", "subject": subject,
        "queue": "sync", "external_ids": [laravel("9f1c")],
    }});
    let made = service.post_json(EVENTS, &dispatch).await.ok(201);
    // The worker's middleware: JobProcessing, JobExceptionOccurred (a try failed, the job did not),
    // JobProcessing again, and the bridge on JobFailed.
    let tried = json!({"progress": {"phase": "waiting for another try"}});
    let failed = json!({"reason_code": "job_failed", "message": "cURL error 28", "attempt": 2});
    let events = json!([
        event("run.started", "9f1c", json!({"worker": "w1", "attempt": 1})),
        event("run.heartbeat", "9f1c", tried),
        event("run.started", "9f1c", json!({"attempt": 2})),
        event("run.failed", "9f1c", failed),
    ]);
    let reply = service.post_json(EVENTS, &events).await.ok(200);
    assert_eq!(statuses(&reply), ["recorded", "recorded", "duplicate", "recorded"]);
    assert!(runs(&reply).iter().all(|run| **run == made["run_id"]), "{reply}");
    // `queue:retry` runs the job again under the same uuid: another run, with an id of its own.
    let found = service.look_up("source=laravel&kind=job&id=9f1c&environment=prod").await.ok(200);
    let expected = json!({"run_id": made["run_id"], "environment": "prod", "source": "laravel",
        "kind": "job", "id": "9f1c"});
    assert_eq!(found, expected);
    service.wait(60);
    let again = json!({"operation": "inventory.sync", "subject": subject,
        "retry_of": found["run_id"]});
    let events = json!([
        event("run.dispatched", "9f1c/2", again),
        event("run.started", "9f1c/2", json!({})),
        event("run.succeeded", "9f1c/2", json!({})),
    ]);
    let reply = service.post_json(EVENTS, &events).await.ok(200);
    assert_eq!(statuses(&reply), ["recorded"; 3]);
    assert_ne!(runs(&reply)[0], &made["run_id"]);
    let first = service.read(&format!("runs/{}", made["run_id"].as_str().unwrap())).await;
    assert_eq!(first["now"]["actionability"]["status"], "superseded_by_later_success", "{first}");
}

/// What a middleware tells of an event of Celery, if it is one of a task.
fn told(celery: &Value, names: &serde_json::Map<String, Value>) -> Option<Value> {
    let task = celery["uuid"].as_str()?;
    let (kind, mut data) = match celery["type"].as_str()? {
        "task-sent" => ("run.dispatched", json!({"queue": celery["queue"]})),
        "task-started" => ("run.started", json!({"worker": celery["hostname"]})),
        // A try failed, and the task did not: its second try has the same uuid.
        "task-retried" => ("run.heartbeat", json!({"progress": {"phase": "retrying"}})),
        "task-succeeded" => ("run.succeeded", json!({})),
        "task-failed" => {
            ("run.failed", json!({"reason_code": "exception", "message": celery["exception"]}))
        }
        "task-revoked" => ("run.cancelled", json!({"reason": "revoked"})),
        _ => return None,
    };
    data["operation"] = names[task].clone();
    data["environment"] = json!("prod");
    let external_id = json!({"source": "celery", "kind": "task", "id": task});
    Some(json!({"type": kind, "external_id": external_id, "data": data}))
}

#[rstest]
#[case::as_they_came(false, false)]
#[case::one_by_one(false, true)]
#[case::the_other_way_round(true, false)]
#[tokio::test]
async fn a_middleware_of_celery_needs_the_uuid_alone(
    #[case] reversed: bool,
    #[case] alone: bool,
    #[values(Database::Sqlite, Database::Postgres)] database: Database,
) {
    let service = Service::on(database).await;
    let events = include_str!("../../fixtures/celery/events.json");
    let mut events: Vec<Value> = serde_json::from_str(events).unwrap();
    // A middleware runs where the task's name is at hand; a listener remembers it.
    let mut names = serde_json::Map::new();
    for event in events.iter().filter(|event| event["name"].is_string()) {
        names.insert(event["uuid"].as_str().unwrap().to_owned(), event["name"].clone());
    }
    if reversed {
        events.reverse();
    }
    let told: Vec<Value> = events.iter().filter_map(|event| self::told(event, &names)).collect();
    assert!(told.len() > 12, "{}", told.len());
    for request in told.chunks(if alone { 1 } else { told.len() }) {
        let reply = service.post_json(EVENTS, &json!(request)).await.ok(200);
        assert_eq!(reply["summary"]["refused"], 0, "{reply}");
    }
    let listed = service.read("runs").await;
    let mut ended: Vec<(&str, &str)> = Vec::new();
    for item in listed["items"].as_array().unwrap() {
        let recorded = &item["recorded"];
        let id = recorded["external_ids"][0]["id"].as_str().unwrap();
        let query = format!("source=celery&kind=task&environment=prod&id={id}");
        assert_eq!(service.look_up(&query).await.ok(200)["run_id"], item["run_id"]);
        ended.push((names[id].as_str().unwrap(), recorded["outcome"].as_str().unwrap()));
    }
    ended.sort_unstable();
    let expected = [
        ("demo.bad", "failed"),
        ("demo.flaky", "succeeded"),
        ("demo.ok", "cancelled"),
        ("demo.ok", "succeeded"),
    ];
    assert_eq!(ended, expected);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_is_not_known_in_a_scope_is_answered_like_what_is_nowhere(#[case] database: Database) {
    let service = Service::on(database).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let dispatch = json!({"operation": "inventory.sync"});
    service.record(&[event("run.dispatched", "7", dispatch.clone())]).await;
    let own = "source=laravel&kind=job&id=7&environment=prod";
    service.look_up(own).await.ok(200);
    // The same question in another workspace, another environment, and where there is nothing.
    let mut answers = Vec::new();
    for path in [
        format!("/v1/workspaces/other/correlations?{own}"),
        format!("{LOOK_UP}?source=laravel&kind=job&id=8&environment=prod"),
        format!("{LOOK_UP}?source=laravel&kind=job&id=7&environment=test"),
        format!("{LOOK_UP}?source=laravel&kind=job&id=7"),
    ] {
        let reply = service.get(&path).await;
        assert_eq!(reply.problem(404), "unknown_run");
        answers.push(reply.json());
    }
    assert_eq!(
        answers[0]["detail"],
        "no run is known here by the laravel job 7 in the environment \
        prod"
    );
    let mut foreign = event("run.started", "7", json!({}));
    foreign["environment"] = json!("test");
    assert_eq!(service.post_json(EVENTS, &foreign).await.problem(404), "unknown_run");
    // Only who may see both runs is told that there are two.
    let mut second = event("run.dispatched", "x", dispatch);
    second["data"]["external_ids"] = json!([laravel("7")]);
    service.record(&[second]).await;
    assert_eq!(service.look_up(own).await.problem(404), "ambiguous_external_id");
    let reply = service.post_json(EVENTS, &event("run.started", "7", json!({}))).await;
    assert_eq!(reply.problem(404), "ambiguous_external_id");
    let reply = service.get(&format!("{LOOK_UP}?source=laravel&kind=job&id=7")).await;
    assert_eq!(reply.json(), answers[3]);
    let reply = service.look_up("source=laravel&kind=job&id=7&scope=prod").await;
    assert_eq!(reply.problem(400), "invalid_query");
    assert_eq!(service.look_up("source=laravel&id=7").await.problem(400), "invalid_query");
}

#[tokio::test]
async fn a_run_is_named_once_and_what_is_not_known_is_refused_by_name() {
    let service = Service::on(Database::Sqlite).await;
    let with = |changes: Value| {
        let mut event = event("run.started", "7", json!({}));
        for (member, value) in changes.as_object().unwrap() {
            event[member] = value.clone();
        }
        event
    };
    let mut misspelt = laravel("7");
    misspelt["knid"] = json!("job");
    for (body, code, pointer) in [
        (with(json!({"run_id": run(1)})), "run_named_twice", "/external_id"),
        (with(json!({"external_id": misspelt})), "invalid_event", "/external_id/knid"),
        (with(json!({"external_id": ["7", "job", "laravel"]})), "invalid_event", "/external_id"),
        (with(json!({"external_id": {"id": "7"}})), "invalid_event", "/external_id"),
        (with(json!({"data": {"environment": "test"}})), "scope_mismatch", "/environment"),
        (with(json!({"external_id": null})), "invalid_event", "/environment"),
        (with(json!({"external_id": null, "environment": null})), "run_id_missing", "/run_id"),
        (with(json!({"type": "worker.stopped"})), "external_id_not_allowed", "/external_id"),
    ] {
        let mut body = body;
        if body["type"] == "worker.stopped" {
            body["data"] = json!({"worker": "w"});
        }
        let reply = service.post_json(EVENTS, &body).await;
        assert_eq!(reply.problem(422), code, "{body}");
        assert_eq!(reply.json()["pointer"], pointer, "{body}");
    }
    assert_eq!(service.size().await, 2);
}

#[tokio::test]
async fn an_event_with_an_id_may_be_sent_again_however_its_run_is_named() {
    let service = Service::on(Database::Sqlite).await;
    let mut first = event("run.started", "7", json!({"operation": "inventory.sync"}));
    first["id"] = json!("e1");
    let made = service.post_json(EVENTS, &first).await.ok(201);
    let again = service.post_json(EVENTS, &first).await.ok(200);
    assert_eq!((&again["status"], &again["run_id"]), (&json!("duplicate"), &made["run_id"]));
    // The same id for a start of another job is a mistake.
    first["external_id"] = laravel("8");
    assert_eq!(service.post_json(EVENTS, &first).await.problem(409), "id_conflict");
    let beat = event("run.heartbeat", "7", json!({}));
    let reply = service.post_json(EVENTS, &beat).await.ok(200);
    assert_eq!((&reply["status"], &reply["run_id"]), (&json!("coalesced"), &made["run_id"]));
}

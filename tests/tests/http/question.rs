//! What every read can be asked: as of which moment, after which write, in which language.

use axum::body::Body;
use rstest::rstest;
use runledger_ledger::time::Span;
use serde_json::{Value, json};

use crate::service::{Database, Service, event, run};

const MAIN: &str = "/v1/workspaces/main";

/// The paths of all reads that a view answers, of the workspace `workspace`.
fn reads(service: &Service, workspace: &str) -> Vec<String> {
    let api = &service.description().0["paths"];
    let get = |path: &str| api[path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
    let takes = |path: &str, name: &str| get(path).iter().any(|of| of["name"] == name);
    let paths = service.description().routes().filter(|(method, _)| method == "GET");
    // What the log alone tells has its own test (`past`).
    let reads =
        paths.filter(|(_, path)| takes(path, "as_of") && takes(path, "lang")).map(|(_, path)| {
            let path = path.replace("{workspace}", workspace).replace("{run}", &run(1));
            path.replace("{item}", &"ab".repeat(16))
        });
    reads.collect()
}

fn backup() -> Value {
    let subject = json!({"type": "database", "id": "orders"});
    json!({"operation": "backup.create", "environment": "prod", "subject": subject})
}

async fn failed_run(service: &Service) -> u64 {
    service.dispatch(1, backup()).await;
    service.wait(60);
    service.signal(1, "run.failed", json!({"reason_code": "disk_full"})).await
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn whoever_has_written_reads_it_with_the_position_of_the_write(#[case] database: Database) {
    let service = Service::following(database).await;
    for number in 1..=20 {
        let position =
            service.dispatch(number, json!({"operation": "backup.create"})).await.to_string();
        let path = format!("{MAIN}/runs/{}?after={position}", run(number));
        let standing = service.get(&path).await.ok(200);
        assert_eq!(standing["recorded"]["status"], "queued");
        assert!(standing["position"].as_u64() >= position.parse().ok());
        let page = service.get(&format!("{MAIN}/runs?after={position}&limit=1")).await.ok(200);
        assert_eq!(page["items"][0]["run_id"], run(number));
        let overview = service.get(&format!("{MAIN}/overview?after={position}")).await.ok(200);
        assert_eq!(overview["runs"], number);
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_read_waits_until_the_read_models_are_there(#[case] database: Database) {
    let service = Service::on(database).await;
    let position = service.dispatch(1, json!({"operation": "backup.create"})).await;
    let path = format!("{MAIN}/runs?after={position}");
    let catch_up = service.app.projections().catch_up(service.main);
    // The read is asked first, and nobody follows the log but the second future.
    let (page, _) = tokio::join!(biased; service.get(&path), catch_up);
    assert_eq!(page.ok(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_does_not_wait_for_ever_and_not_at_all_for_what_is_not_recorded() {
    let service = Service::on(Database::Sqlite).await;
    let position = service.dispatch(1, json!({"operation": "backup.create"})).await;
    let reply = service.get(&format!("{MAIN}/runs?after={position}")).await;
    assert_eq!(reply.problem(503), "not_there_yet");
    assert_eq!(reply.headers["retry-after"], "1");
    let reply = service.get(&format!("{MAIN}/runs?after={}", position + 1)).await;
    assert_eq!(reply.problem(422), "after_in_future");
    for list in ["runs", "log"] {
        let reply = service.get(&format!("{MAIN}/{list}?as_of=0&after={position}")).await;
        assert_eq!(reply.problem(400), "after_past_as_of");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_told_with_what_may_come() {
    let service = Service::on(Database::Sqlite).await;
    for (query, parts) in [
        ("form=1", &["`form`", "`limit`", "`as_of`", "`after`", "`lang`"][..]),
        ("limit=x", &["limit", "whole number from 1 to 500"]),
        ("limit=0", &["limit", "whole number from 1 to 500"]),
        ("limit=501", &["limit", "whole number from 1 to 500"]),
    ] {
        let reply = service.get(&format!("{MAIN}/runs?{query}")).await;
        assert_eq!(reply.problem(400), "invalid_query");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(parts.iter().all(|part| detail.contains(part)), "{detail}");
    }
    let reply = service.get(&format!("{MAIN}/follow-ups/nope")).await;
    assert_eq!(reply.problem(400), "invalid_path");
    assert!(reply.json()["detail"].as_str().unwrap().contains("32 hexadecimal digits"));
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_read_of_the_past_answers_as_it_would_have_been_answered_then(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let before = service.clock.now();
    service.wait(1);
    let failed = failed_run(&service).await;
    service.wait(60);
    service
        .record(&[event(2, "run.dispatched", backup()), event(2, "run.succeeded", json!({}))])
        .await;
    let path = format!("runs/{}", run(1));
    let now = service.read(&path).await;
    assert_eq!(now["now"]["actionability"]["status"], "superseded_by_later_success");
    assert_eq!(now["now"]["actionability"]["proof"], json!({"type": "run", "run_id": run(2)}));
    assert_eq!((&now["at"], &now["position"]), (&now["now"]["at"], &json!(failed + 2)));

    // By position; by the time of that event, with any offset; the plus sign escaped or not.
    let then = service.read(&format!("{path}?as_of={failed}")).await;
    assert_eq!(then["now"]["actionability"]["status"], "actionable");
    assert_eq!(then["position"], failed);
    let at = then["at"].as_str().unwrap();
    assert_eq!(at, "2026-03-01T12:01:01Z");
    for same in [at, "2026-03-01T14:01:01%2B02:00", "2026-03-01T14:01:01+02:00"] {
        assert_eq!(service.read(&format!("{path}?as_of={same}")).await, then, "{same}");
    }
    let sixty = service.read(&format!("{path}?as_of=2026-03-01T12:00:59Z")).await;
    assert_eq!(sixty["recorded"]["outcome"], "pending");
    assert_eq!(sixty["now"]["freshness"], "fresh_queued");
    let overview = service.read(&format!("overview?as_of={failed}")).await;
    assert_eq!((&overview["runs"], &overview["follow_up_items"]), (&json!(1), &json!(1)));
    assert_eq!(service.read("overview").await["follow_up_items"], 0);

    // Before it was heard of, a run is unknown.
    let reply = service.get(&format!("{MAIN}/{path}?as_of={before}")).await;
    assert_eq!(reply.problem(404), "unknown_run");
    let page = service.read(&format!("runs?as_of={before}")).await;
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn nothing_is_said_of_the_future() {
    let service = Service::on(Database::Sqlite).await;
    let last = failed_run(&service).await;
    let tomorrow = service.clock.now().plus(Span::from_secs(86_400));
    for read in reads(&service, "main") {
        for future in [(last + 1).to_string(), tomorrow.to_string()] {
            let reply = service.get(&format!("{read}?as_of={future}")).await;
            assert_eq!(reply.problem(422), "as_of_in_future", "{read} as of {future}");
        }
    }
}

#[tokio::test]
async fn every_read_refuses_by_name_what_it_does_not_know() {
    let service = Service::on(Database::Sqlite).await;
    failed_run(&service).await;
    let reads = reads(&service, "main");
    assert!(reads.len() >= 6, "{reads:?}");
    for read in &reads {
        for (query, named) in [
            ("nonsense=1", "nonsense"),
            ("as_of=yesterday", "as_of"),
            ("as_of=1&as_of=2", "as_of"),
            ("as_of=", "as_of"),
            ("after=-1", "after"),
            ("after=1.5", "after"),
            ("lang=fr", "lang"),
            ("%61s_of=1", "as_of"),
        ] {
            let reply = service.get(&format!("{read}?{query}")).await;
            assert_eq!(reply.problem(400), "invalid_query", "{read}?{query}");
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(named), "{read}?{query}: {detail}");
        }
    }
}

#[tokio::test]
async fn every_read_is_of_the_workspace_that_is_named_and_of_no_other() {
    let service = Service::on(Database::Sqlite).await;
    failed_run(&service).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    for read in reads(&service, "nobody") {
        assert_eq!(service.get(&read).await.problem(404), "unknown_workspace", "{read}");
    }
    for read in reads(&service, "other") {
        let reply = service.get(&read).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!text.contains("disk_full") && !text.contains("prod"), "{read}: {text}");
        // Its log holds what made it.
        if reply.status == 200 && !read.ends_with("/log") {
            let body = reply.json();
            let things = body["items"].as_array().map_or(0, Vec::len);
            let operations = read.ends_with("/operations");
            assert!(things == 0 || operations, "{read}: {body}");
        }
    }
}

#[tokio::test]
async fn people_are_spoken_to_in_their_language() {
    let service = Service::on(Database::Sqlite).await;
    failed_run(&service).await;
    let path = format!("runs/{}", run(1));
    let sentence =
        |standing: &Value| standing["now"]["guidance"]["text"].as_str().unwrap().to_owned();
    let english = sentence(&service.read(&path).await);
    let german = sentence(&service.read(&format!("{path}?lang=de")).await);
    assert_ne!(english, german);
    let ask = async |accepted: &str, query: &str| {
        let request = Service::request("GET", &format!("{MAIN}/{path}{query}"));
        let request = request.header("accept-language", accepted).body(Body::empty()).unwrap();
        let reply = service.send(request).await;
        assert_eq!(reply.headers["vary"], "accept-language");
        (sentence(&reply.ok(200)), reply.headers["content-language"].to_str().unwrap().to_owned())
    };
    assert_eq!(ask("de-CH, en;q=0.5", "").await, (german.clone(), "de".to_owned()));
    assert_eq!(ask("fr, en;q=0.5", "").await, (english.clone(), "en".to_owned()));
    assert_eq!(ask("en", "?lang=de").await, (german, "de".to_owned()));
    assert_eq!(ask("de", "?lang=en").await, (english, "en".to_owned()));
}

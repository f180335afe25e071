//! A workspace at a glance.

use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, Service, event};

/// Failures in two environments and in none, a queue that nobody serves, one that somebody does.
async fn troubles(service: &Service) {
    let sync = |environment: &str, queue: &str| {
        json!({"operation": "inventory.sync", "environment": environment, "queue": queue,
            "subject": {"type": "tenant", "id": "7"}})
    };
    let failed = json!({"reason_code": "timeout"});
    service
        .record(&[
            json!({"type": "worker.seen",
            "data": {"worker": "w", "lease_seconds": 30, "queues": ["served", "left"]}}),
            event(1, "run.dispatched", sync("prod", "served")),
            event(1, "run.failed", failed.clone()),
            event(2, "run.dispatched", sync("prod", "served")),
            event(2, "run.failed", failed.clone()),
            event(3, "run.dispatched", sync("dev", "served")),
            event(3, "run.failed", failed.clone()),
            event(4, "run.dispatched", json!({"operation": "acme.own"})),
            event(4, "run.failed", failed),
            event(5, "run.dispatched", sync("prod", "left")),
        ])
        .await;
    service.wait(60);
    service
        .record(&[json!({"type": "worker.seen",
        "data": {"worker": "w2", "lease_seconds": 300, "queues": ["served"]}})])
        .await;
    service.record(&[event(6, "run.dispatched", sync("dev", "served"))]).await;
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn every_count_is_the_length_of_the_list_that_it_counts(#[case] database: Database) {
    let service = Service::on(database).await;
    troubles(&service).await;
    for part in [None, Some("prod"), Some("dev"), Some(""), Some("nowhere")] {
        let environment = part.map_or(String::new(), |name| format!("&environment={name}"));
        let overview =
            service.read(&format!("overview?{}", environment.trim_start_matches('&'))).await;
        assert_eq!(overview["environment"].as_str(), part);
        let length = async |query: &str| {
            let page = service.read(&format!("runs?limit=500{environment}{query}")).await;
            json!(page["items"].as_array().unwrap().len())
        };
        assert_eq!(overview["runs"], length("").await, "{part:?}");
        assert_eq!(overview["waiting"], length("&status=queued").await, "{part:?}");
        assert_eq!(overview["follow_up_runs"], length("&follow_up=true").await, "{part:?}");
        for (count, filter) in [
            ("by_status", "status"),
            ("by_outcome", "outcome"),
            ("by_actionability", "actionability"),
        ] {
            for (word, count) in overview[count].as_object().unwrap() {
                assert_eq!(*count, length(&format!("&{filter}={word}")).await, "{part:?} {word}");
            }
        }
    }
    let health = json!({"events": 14, "lag": 0});
    assert_eq!(service.read("overview").await["health"], health);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn environments_are_listed_by_name_and_the_workspaces_own_runs_first(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    troubles(&service).await;
    let list = service.read("environments").await;
    let told: Vec<(&Value, &Value)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (&item["environment"], &item["follow_up_runs"]))
        .collect();
    let expected =
        [(&json!(null), &json!(1)), (&json!("dev"), &json!(1)), (&json!("prod"), &json!(2))];
    assert_eq!(told, expected);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_queue_says_whether_anything_picks_up_what_waits(#[case] database: Database) {
    let service = Service::on(database).await;
    troubles(&service).await;
    let list = service.read("queues").await;
    let told: Vec<[&Value; 3]> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| [&item["queue"], &item["verdict"], &item["waiting"]])
        .collect();
    let expected = [
        [&json!("left"), &json!("no_worker"), &json!(1)],
        [&json!("served"), &json!("moving"), &json!(1)],
    ];
    assert_eq!(told, expected);
    let overview = service.read("overview").await;
    assert_eq!(overview["queues"], json!({"no_worker": 1, "moving": 1}));
    // A waiting run tells it too.
    let page = service.read("runs?queue=left").await;
    assert_eq!(page["items"][0]["now"]["queue"]["verdict"], "no_worker");
    assert_eq!(page["items"][0]["now"]["guidance"]["key"], "no_worker_seen");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn operations_are_listed_with_their_policy_and_how_their_runs_went(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    troubles(&service).await;
    let find = |list: &Value, name: &str| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["operation"] == name).cloned()
    };
    let list = service.read("operations").await;
    let sync = find(&list, "inventory.sync").unwrap();
    assert_eq!(sync["title"], "Inventory sync");
    assert_eq!(sync["counts"]["by_outcome"], json!({"failed": 3, "pending": 2}));
    assert_eq!(sync["counts"]["follow_up_runs"], 3);
    let ends: Vec<&Value> =
        sync["recent"].as_array().unwrap().iter().map(|end| &end["outcome"]).collect();
    assert_eq!(ends, ["failed", "failed", "failed"]);
    // What no catalog names is told so, and a type that nothing ran under is there too.
    let own = find(&list, "acme.own").unwrap();
    assert_eq!(
        (&own["classified"], &own["family"]["name"]),
        (&json!(false), &json!("unclassified"))
    );
    assert_eq!(find(&list, "restore.execute").unwrap()["counts"]["runs"], 0);
    let dev = service.read("operations?environment=dev&lang=de").await;
    let sync = find(&dev, "inventory.sync").unwrap();
    assert_eq!((&sync["title"], &sync["counts"]["runs"]), (&json!("Inventarabgleich"), &json!(2)));
    assert_eq!(find(&dev, "acme.own"), None);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_difference_says_what_appeared_and_why_something_has_gone(#[case] database: Database) {
    let service = Service::on(database).await;
    troubles(&service).await;
    let before = service.read("overview").await;
    let from = before["position"].as_u64().unwrap();
    service.wait(60);
    let sync = json!({"operation": "inventory.sync", "environment": "prod",
        "subject": {"type": "tenant", "id": "7"}});
    service
        .record(&[
            event(7, "run.dispatched", sync),
            event(7, "run.succeeded", json!({})),
            event(8, "run.dispatched", json!({"operation": "acme.other"})),
            event(8, "run.failed", json!({"reason_code": "timeout"})),
        ])
        .await;
    let diff = service.read(&format!("diff?from={from}")).await;
    assert_eq!(diff["from"]["counts"]["follow_up_items"], before["follow_up_items"]);
    assert_eq!(diff["to"]["events"].as_u64().unwrap(), from + 5);
    assert_eq!((&diff["complete"], &diff["changed"]), (&json!(true), &json!([])));
    let operations = |list: &Value| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items.map(|item| item["operation"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(operations(&diff["appeared"]), ["acme.other"]);
    let gone = diff["gone"].as_array().unwrap();
    assert_eq!(gone.len(), 1, "{diff:#}");
    assert_eq!(gone[0]["item"]["occurrences"], 2);
    let verdict = &gone[0]["now"]["now"]["actionability"];
    assert_eq!(verdict["status"], "superseded_by_later_success");
    let run = gone[0]["now"]["run_id"].as_str().unwrap();
    let of_run = service.read(&format!("runs/{run}/diff?from={from}")).await;
    assert_eq!(of_run["recorded_changed"], false);
    assert_eq!(of_run["now_changed"], true);
    assert_eq!(of_run["from"]["now"]["actionability"]["status"], "actionable");
    let main = "/v1/workspaces/main";
    let turned = service.get(&format!("{main}/diff?from={}&to={from}", from + 1)).await;
    assert_eq!(turned.problem(400), "invalid_query");
    for (between, name) in [("from=soon", "`from`"), ("from=0&to=soon", "`to`")] {
        let reply = service.get(&format!("{main}/diff?{between}")).await;
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(text.contains(name) && !text.contains("as_of"), "{text}");
    }
    let unknown = "0195f3c0-0000-7000-8000-00000000ffff";
    let reply = service.get(&format!("{main}/runs/{unknown}/diff?from={from}")).await;
    assert_eq!(reply.problem(404), "unknown_run");
}

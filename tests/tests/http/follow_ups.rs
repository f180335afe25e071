//! Follow-ups: what still needs a person.

use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, Service, event, run};

const LIST: &str = "/v1/workspaces/main/follow-ups";

/// Two things to do: a sync that failed four times, and a restore that must be looked at.
async fn two_things(service: &Service) {
    let sync = json!({"operation": "inventory.sync", "environment": "prod",
        "subject": {"type": "tenant", "id": "7"}});
    let failed = json!({"reason_code": "timeout"});
    for number in 1..=4 {
        service
            .record(&[
                event(number, "run.dispatched", sync.clone()),
                event(number, "run.failed", failed.clone()),
            ])
            .await;
        service.wait(60);
    }
    service
        .record(&[
            event(5, "run.dispatched", json!({"operation": "restore.execute"})),
            event(5, "run.failed", failed),
        ])
        .await;
    service.wait(60);
}

fn runs(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["run_id"].as_str().unwrap()).collect()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_failed_four_times_is_one_thing_to_do(#[case] database: Database) {
    let service = Service::on(database).await;
    two_things(&service).await;
    let list = service.read("follow-ups").await;
    let [restore, sync] = list["items"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(restore["actionability"], "requires_manual_review");
    assert_eq!((&restore["reason"], &restore["occurrences"]), (&json!("high_risk"), &json!(1)));
    assert_eq!(restore.get("environment"), None);
    assert_eq!((&sync["actionability"], &sync["occurrences"]), (&json!("actionable"), &json!(4)));
    assert_eq!(sync["subject"], json!({"type": "tenant", "id": "7"}));
    assert_eq!(sync["first_settled_at"], "2026-03-01T12:00:00Z");
    assert_eq!(sync["last_settled_at"], "2026-03-01T12:03:00Z");
    assert_eq!(sync["guidance"]["key"], "needs_action");
    assert_eq!(runs(&sync["latest"]), [run(4), run(3), run(2)]);

    let path = format!("follow-ups/{}", sync["key"].as_str().unwrap());
    let first = service.read(&format!("{path}?limit=3")).await;
    assert_eq!(first["item"], *sync);
    assert_eq!(runs(&first["items"]), [run(4), run(3), run(2)]);
    let next = first["next"].as_str().unwrap();
    let second = service.read(&format!("{path}?limit=3&cursor={next}")).await;
    assert_eq!(runs(&second["items"]), [run(1)]);
    assert_eq!(second.get("next"), None);

    // Before the second failure it had occurred once.
    let then = service.read("follow-ups?as_of=2026-03-01T12:00:30Z").await;
    assert_eq!(then["items"][0]["occurrences"], 1);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn things_to_do_are_found_by_what_they_are_page_by_page(#[case] database: Database) {
    let service = Service::on(database).await;
    two_things(&service).await;
    let cases: &[(&str, &[&str])] = &[
        ("", &["restore.execute", "inventory.sync"]),
        ("environment=prod", &["inventory.sync"]),
        ("environment=", &["restore.execute"]),
        ("operation=inventory_sync", &["inventory.sync"]),
        ("family=high_risk_mutation", &["restore.execute"]),
        ("actionability=actionable", &["inventory.sync"]),
        ("actionability=requires_manual_review", &["restore.execute"]),
        ("actionability=resolved_by_operator", &[]),
        ("environment=prod&family=high_risk_mutation", &[]),
    ];
    for (query, expected) in cases {
        let list = service.read(&format!("follow-ups?{query}")).await;
        let items = list["items"].as_array().unwrap();
        let found: Vec<&str> =
            items.iter().map(|item| item["operation"].as_str().unwrap()).collect();
        assert_eq!(&found, expected, "{query}");
    }
    let first = service.read("follow-ups?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let second = service.read(&format!("follow-ups?limit=1&cursor={next}")).await;
    assert_eq!(second["items"][0]["operation"], "inventory.sync");
    let other = service.get(&format!("{LIST}?family=backup&cursor={next}")).await;
    assert_eq!(other.problem(400), "invalid_cursor");
}

#[tokio::test]
async fn each_filter_that_is_malformed_is_refused_by_name() {
    let service = Service::on(Database::Sqlite).await;
    for (name, wrong) in [
        ("environment", "a%0Ab"),
        ("operation", ""),
        ("family", "%00"),
        ("actionability", "todo"),
        ("limit", "many"),
        ("status", "queued"),
    ] {
        let reply = service.get(&format!("{LIST}?{name}={wrong}")).await;
        assert_eq!(reply.problem(400), "invalid_query", "{name}={wrong}");
        assert!(reply.json()["detail"].as_str().unwrap().contains(name), "{reply:?}");
    }
    assert_eq!(service.get(&format!("{LIST}?limit=501")).await.problem(400), "invalid_query");
    assert_eq!(service.get(&format!("{LIST}/no-key")).await.problem(400), "invalid_path");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_a_person_resolves_is_gone_and_what_is_reopened_is_back(#[case] database: Database) {
    let service = Service::following(database).await;
    two_things(&service).await;
    let list = service.read("follow-ups?actionability=requires_manual_review").await;
    let key = list["items"][0]["key"].as_str().unwrap().to_owned();
    let word = async |action: &str| {
        let path = format!("/v1/workspaces/main/runs/{}/follow-up", run(5));
        let word = json!({"action": action, "reason": "looked_at"});
        let reply = service.post_json(&path, &word).await;
        let position = reply.ok(201)["position"].as_u64().unwrap();
        service.get(&format!("{LIST}/{key}?after={position}")).await
    };
    let gone = word("resolve").await;
    assert_eq!(gone.problem(404), "unknown_follow_up");
    let standing = service.read(&format!("runs/{}", run(5))).await;
    assert_eq!(standing["now"]["actionability"]["status"], "resolved_by_operator");
    assert_eq!(standing["now"]["actionability"]["proof"]["by"], "administrator");
    let back = word("reopen").await.ok(200);
    assert_eq!(runs(&back["items"]), [run(5)]);

    // To another workspace, a key is as unknown as one that never was.
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let ask = async |key: &str| {
        let reply = service.get(&format!("/v1/workspaces/other/follow-ups/{key}")).await;
        assert_eq!(reply.problem(404), "unknown_follow_up");
        String::from_utf8_lossy(&reply.body).replace(key, "KEY")
    };
    assert_eq!(ask(&key).await, ask(&"ab".repeat(16)).await);
}

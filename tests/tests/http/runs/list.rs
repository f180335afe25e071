//! Lists of runs.

use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, Service, event, run};

const RUNS: &str = "/v1/workspaces/main/runs";

/// The numbers of the runs on a page, in its order.
fn numbers(page: &Value) -> Vec<u8> {
    let number = |item: &Value| u8::from_str_radix(&item["run_id"].as_str().unwrap()[34..], 16);
    page["items"].as_array().unwrap().iter().map(|item| number(item).unwrap()).collect()
}

/// Six runs, one a minute from 12:00, of every status.
async fn six(service: &Service) {
    let backup = json!({"operation": "backup.create", "environment": "prod", "queue": "backups",
        "subject": {"type": "database", "id": "orders"}});
    let sync = json!({"operation": "inventory.sync", "environment": "staging", "queue": "default",
        "connection": "redis", "fingerprint": "Ab_1"});
    service
        .record(&[
            event(1, "run.dispatched", backup.clone()),
            event(1, "run.failed", json!({"reason_code": "disk_full"})),
        ])
        .await;
    service.wait(60);
    service
        .record(&[
            event(2, "run.dispatched", backup),
            event(2, "run.started", json!({"worker": "w1"})),
            event(2, "run.succeeded", json!({})),
        ])
        .await;
    service.wait(60);
    service
        .record(&[event(3, "run.dispatched", sync.clone()), event(3, "run.cancelled", json!({}))])
        .await;
    service.wait(60);
    service
        .record(&[
            event(
                4,
                "run.dispatched",
                json!({"operation": "restore.execute", "environment": "prod"}),
            ),
            event(4, "run.ended", json!({})),
        ])
        .await;
    service.wait(60);
    service
        .record(&[event(5, "run.dispatched", sync.clone()), event(5, "run.started", json!({}))])
        .await;
    service.wait(60);
    service.record(&[event(6, "run.dispatched", json!({"operation": "acme.custom"}))]).await;
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn each_filter_finds_what_it_names_and_nothing_else(#[case] database: Database) {
    let service = Service::on(database).await;
    six(&service).await;
    let cases: &[(&str, &[u8])] = &[
        ("", &[6, 5, 4, 3, 2, 1]),
        ("status=queued", &[6]),
        ("status=running", &[5]),
        ("status=completed", &[4, 3, 2, 1]),
        ("outcome=failed", &[1]),
        ("outcome=unknown", &[4]),
        ("outcome=pending", &[6, 5]),
        ("freshness=unknown", &[6]),
        ("freshness=fresh_running", &[5]),
        ("freshness=stale_running", &[]),
        ("freshness=terminal", &[4, 3, 2, 1]),
        ("actionability=superseded_by_later_success", &[1]),
        ("actionability=requires_manual_review", &[4]),
        ("actionability=not_terminal", &[6, 5]),
        ("actionability=informational_only", &[3, 2]),
        ("follow_up=true", &[4]),
        ("follow_up=false", &[6, 5, 3, 2, 1]),
        ("operation=backup.create", &[2, 1]),
        ("operation=no.such.thing", &[]),
        ("family=unclassified", &[6]),
        ("environment=prod", &[4, 2, 1]),
        ("environment=", &[6]),
        ("subject=database/orders", &[2, 1]),
        ("subject=database%2Forders", &[2, 1]),
        ("queue=default", &[5, 3]),
        ("queue=default&connection=redis", &[5, 3]),
        ("queue=backups&connection=", &[2, 1]),
        ("queue=default&connection=other", &[]),
        ("text=ORDERS", &[2, 1]),
        ("text=ab_1", &[5, 3]),
        ("text=ab%251", &[]),
        ("text=disk_full", &[1]),
        ("text=w1", &[2]),
        ("since=2026-03-01T12:04:00Z", &[6, 5]),
        ("until=2026-03-01T12:01:00Z", &[1]),
        ("since=2026-03-01T13:01:00+01:00&until=2026-03-01T12:03:00Z", &[3, 2]),
        ("since=2026-03-02T00:00:00Z", &[]),
        ("environment=prod&status=completed&outcome=succeeded", &[2]),
        ("as_of=2026-03-01T12:00:30Z&follow_up=true", &[1]),
    ];
    for (query, expected) in cases {
        let page = service.read(&format!("runs?{query}")).await;
        assert_eq!(&numbers(&page), expected, "{query}");
        assert_eq!(page.get("next"), None, "{query}");
    }
    let page = service.read(&format!("runs?text={}", run(3))).await;
    assert_eq!(numbers(&page), [3]);
    // What was inside its window is not, an hour later.
    service.wait(3_600);
    assert_eq!(numbers(&service.read("runs?freshness=stale_running").await), [5]);
    let fresh = service.read("runs?freshness=fresh_running").await;
    assert_eq!(numbers(&fresh), Vec::<u8>::new());
}

#[tokio::test]
async fn each_filter_that_is_malformed_is_refused_by_name() {
    let service = Service::on(Database::Sqlite).await;
    let long = "x".repeat(256);
    for (name, wrong) in [
        ("status", "waiting"),
        ("status", ""),
        ("outcome", "Failed"),
        ("freshness", "stale"),
        ("actionability", "todo"),
        ("follow_up", "yes"),
        ("operation", ""),
        ("operation", "a%00b"),
        ("family", long.as_str()),
        ("environment", "a%0Ab"),
        ("environment", long.as_str()),
        ("subject", "database"),
        ("subject", "/orders"),
        ("queue", ""),
        ("connection", "%07"),
        ("text", "%00"),
        ("text", long.as_str()),
        ("since", "yesterday"),
        ("since", "2026-03-01"),
        ("until", "1"),
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "70000"),
        ("limit", "-1"),
        ("limit", "ten"),
    ] {
        let reply = service.get(&format!("{RUNS}?{name}={wrong}")).await;
        assert_eq!(reply.problem(400), "invalid_query", "{name}={wrong}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(name), "{name}={wrong}: {detail}");
    }
    // Between these two there is no time, so nothing could ever fit.
    let none = "since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z";
    let reply = service.get(&format!("{RUNS}?{none}")).await;
    assert_eq!(reply.problem(400), "invalid_query");
    assert!(reply.json()["detail"].as_str().unwrap().contains("`until` must be later"));
    let reply = service.get(&format!("{RUNS}?status=queued&status=running")).await;
    assert_eq!(reply.problem(400), "invalid_query");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn pages_give_every_run_once_whatever_comes_in_between(#[case] database: Database) {
    let service = Service::on(database).await;
    // All at the same time: the greater id comes first.
    let dispatched =
        |number| event(number, "run.dispatched", json!({"operation": "backup.create"}));
    let events: Vec<Value> = (1..=7).map(dispatched).collect();
    service.record(&events).await;
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = service.read(&format!("runs?operation=backup.create&limit=3{cursor}")).await;
        found.extend(numbers(&page));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // A newer run does not move what comes after.
        service.wait(1);
        service.record(&[dispatched(u8::try_from(100 + found.len()).unwrap())]).await;
    }
    assert_eq!(found, [7, 6, 5, 4, 3, 2, 1]);
    let other_list = service.get(&format!("{RUNS}?limit=3{cursor}")).await;
    assert_eq!(other_list.problem(400), "invalid_cursor");
    let nonsense = service.get(&format!("{RUNS}?cursor=nonsense")).await;
    assert_eq!(nonsense.problem(400), "invalid_cursor");
}

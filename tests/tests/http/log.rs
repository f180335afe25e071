//! The log as it lies there.

use rstest::rstest;
use runledger_ledger::merkle::leaf_hash;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Service};

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn every_line_of_the_log_holds_the_bytes_that_its_hash_is_of(#[case] database: Database) {
    let service = Service::on(database).await;
    let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    // More than a page of the answer.
    let events: Vec<&Value> = std::iter::repeat_n(&event, 1_200).collect();
    service.post_json(EVENTS, &json!(events)).await.ok(200);
    let reply = service.get("/v1/workspaces/main/log").await;
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let mut position = 0;
    for line in text.lines() {
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!(read["position"], position);
        let body = line.split_once("\"event\":").unwrap().1.strip_suffix('}').unwrap();
        assert_eq!(read["leaf_hash"], hex::encode(leaf_hash(body.as_bytes())));
        position += 1;
    }
    assert_eq!(position, 1_202);
}

#[tokio::test]
async fn a_part_of_the_log_is_what_was_asked_for_and_no_more() {
    let service = Service::on(Database::Sqlite).await;
    let positions = async |query: &str| -> Vec<u64> {
        let reply = service.get(&format!("/v1/workspaces/main/log{query}")).await;
        assert_eq!(reply.status, 200);
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        let position = |line| serde_json::from_str::<Value>(line).unwrap()["position"].as_u64();
        text.lines().map(|line| position(line).unwrap()).collect()
    };
    assert_eq!(positions("").await, [0, 1]);
    assert_eq!(positions("?from=1").await, [1]);
    assert_eq!(positions("?limit=1").await, [0]);
    assert_eq!(positions("?as_of=0").await, [0]);
    assert_eq!(positions("?after=1").await, [0, 1]);
    assert!(positions("?from=7").await.is_empty());
    let reply = service.get("/v1/workspaces/main/log?limit=1").await;
    assert_eq!(reply.headers["runledger-position"], "1");
    let reply = service.get("/v1/workspaces/main/log?limit=0").await;
    assert_eq!(reply.problem(400), "invalid_query");
    let reply = service.get("/v1/workspaces/main/log?form=1").await;
    assert_eq!(reply.problem(400), "invalid_query");
    let reply = service.get("/v1/workspaces/other/log").await;
    assert_eq!(reply.problem(404), "unknown_workspace");
}

//! Observations of subjects.

use rstest::rstest;
use serde_json::json;

use crate::service::{Database, Service};

const PATH: &str = "/v1/workspaces/main/subjects/site/a%2Fb/observations";

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn an_observation_is_recorded_for_the_subject_of_the_path(#[case] database: Database) {
    let service = Service::on(database).await;
    let seen = json!({"state": "healthy", "environment": "prod", "evidence": {"checks": 3}});
    let reply = service.post_json(PATH, &seen).await.ok(201);
    assert_eq!(reply["event_type"], "subject.observed");
    let stored = service.app.ledger().store().log(service.main, 2, 3, 1).await.unwrap();
    let event: serde_json::Value = serde_json::from_slice(&stored[0].body).unwrap();
    assert_eq!(event["data"]["subject"], json!({"type": "site", "id": "a/b"}));
    assert_eq!(event["data"]["evidence"], json!({"checks": 3}));
    // Seen again, it is news again.
    service.post_json(PATH, &seen).await.ok(201);
}

#[tokio::test]
async fn an_observation_is_read_strictly_and_told_where_it_is_wrong() {
    let service = Service::on(Database::Sqlite).await;
    for (body, pointer) in [
        (json!({"state": "fine"}), "/state"),
        (json!({"state": "healthy", "subject": {"type": "x", "id": "y"}}), "/subject"),
        (json!({"state": "healthy", "evidence": {"load": {"a": 1}}}), "/evidence/load"),
        (json!({"state": "healthy", "sate": 1}), "/sate"),
    ] {
        let reply = service.post_json(PATH, &body).await;
        assert_eq!(reply.problem(422), "invalid_event");
        assert_eq!(reply.json()["pointer"], pointer, "{body}");
    }
    assert_eq!(service.size().await, 2);
}

//! Observations of subjects.

use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Reply, Service};

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
    let event: Value = serde_json::from_slice(&stored[0].body).unwrap();
    assert_eq!(event["data"]["subject"], json!({"type": "site", "id": "a/b"}));
    assert_eq!(event["data"]["evidence"], json!({"checks": 3}));
    // Seen again, it is news again.
    service.post_json(PATH, &seen).await.ok(201);
}

#[tokio::test]
async fn an_observation_is_read_strictly_and_told_where_it_is_wrong() {
    let service = Service::on(Database::Sqlite).await;
    for (body, pointer) in [
        (json!({"state": "healthy", "evidence": 3}), "/evidence"),
        (json!({"state": "fine"}), "/state"),
        (json!({"state": "healthy", "subject": {"type": "x", "id": "y"}}), "/subject"),
        (json!({"state": "healthy", "sate": 1}), "/sate"),
    ] {
        let reply = service.post_json(PATH, &body).await;
        assert_eq!(reply.problem(422), "invalid_event");
        assert_eq!(reply.json()["pointer"], pointer, "{body}");
    }
    assert_eq!(service.size().await, 2);
}

/// What must not be recorded; in `bad.txt` there is more of it.
const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
const SIGNED: &str = "https://b.s3.amazonaws.com/k?X-Amz-Signature=abc&X-Amz-Expires=60";

fn observed(evidence: &Value) -> Value {
    let subject = json!({"type": "backup_set", "id": "wiki"});
    let data = json!({"subject": subject, "state": "healthy", "evidence": evidence});
    json!({"type": "subject.observed", "data": data})
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn evidence_that_looks_like_a_secret_is_refused_and_only_its_key_is_named(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let size = service.size().await;
    for secret in [TOKEN, SIGNED] {
        let said = |reply: &Reply| {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(!text.contains(secret), "it repeats the value: {text}");
        };
        let seen = json!({"state": "healthy", "evidence": {"checks": 3, "x": secret}});
        let reply = service.post_json(PATH, &seen).await;
        assert_eq!(reply.problem(422), "evidence_suspicious");
        assert_eq!(reply.json()["pointer"], "/evidence/x");
        assert!(reply.json()["detail"].as_str().unwrap().starts_with("`/evidence/x`: "));
        said(&reply);
        let reply =
            service.post_json(PATH, &json!({"state": "healthy", "evidence": {secret: 1}})).await;
        assert_eq!(reply.problem(422), "evidence_suspicious");
        assert_eq!(reply.json()["pointer"], "/evidence");
        said(&reply);
        let reply = service.post_json(EVENTS, &observed(&json!({"x": secret}))).await;
        assert_eq!(reply.problem(422), "evidence_suspicious");
        assert_eq!(reply.json()["pointer"], "/data/evidence/x");
        said(&reply);
    }
    assert_eq!(service.size().await, size, "nothing of it is recorded");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn evidence_that_is_refused_harms_no_other_event_of_its_request(#[case] database: Database) {
    let service = Service::on(database).await;
    let mut size = service.size().await;
    let items = [json!({"x": TOKEN}), json!({"x": "done"}), json!({"x": SIGNED})];
    let items: Vec<String> = items.iter().map(|one| observed(one).to_string()).collect();
    let list = format!("[{}]", items.join(","));
    for body in [list.clone(), items.join("\n")] {
        let reply = service.post(EVENTS, body).await.ok(200);
        let of =
            |at: usize| (&reply["results"][at]["status"], &reply["results"][at]["problem"]["code"]);
        let refused = (&json!("refused"), &json!("evidence_suspicious"));
        assert_eq!((of(0), of(2)), (refused, refused), "{reply}");
        assert_eq!(of(1).0, "recorded", "{reply}");
        assert!(!reply.to_string().contains("ghp_"), "it repeats the value: {reply}");
        size += 1;
        assert_eq!(service.size().await, size);
    }
    service.post(&format!("{EVENTS}?atomic=true"), list).await.problem(422);
    assert_eq!(service.size().await, size);
}

#[tokio::test]
async fn all_that_the_seam_refuses_of_an_adapter_is_refused_of_an_observation() {
    let service = Service::on(Database::Sqlite).await;
    let size = service.size().await;
    let lines = include_str!("../../fixtures/evidence/bad.txt").lines();
    let bad = lines.filter(|line| !line.is_empty() && !line.starts_with("## "));
    let bad = bad.map(|line| line.replace("\\n", "\n").replace("\\t", "\t"));
    let bad: Vec<Value> = bad.map(|value| observed(&json!({"x": value}))).collect();
    assert!(bad.len() >= 80, "only {} values", bad.len());
    let reply = service.post_json(EVENTS, &json!(bad)).await.ok(200);
    for (item, result) in bad.iter().zip(reply["results"].as_array().unwrap()) {
        assert_eq!(result["problem"]["code"], "evidence_suspicious", "{item}: {result}");
    }
    assert_eq!(service.size().await, size);
    let lines = include_str!("../../fixtures/evidence/good.txt").lines();
    let good = lines.filter(|line| !line.is_empty() && !line.starts_with("## "));
    let good = good.map(|line| observed(&json!({"x": line.split_once(' ').unwrap().1})));
    let good: Vec<Value> = good.collect();
    let reply = service.post_json(EVENTS, &json!(good)).await.ok(200);
    for (item, result) in good.iter().zip(reply["results"].as_array().unwrap()) {
        assert_eq!(result["status"], "recorded", "{item}: {result}");
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_value_of_no_kind_is_refused_with_its_key_and_what_is_taken(#[case] database: Database) {
    let service = Service::on(database).await;
    let size = service.size().await;
    for value in [
        json!(1.5),
        json!(null),
        json!({"a": 1}),
        json!({"a": 1.5}),
        json!([]),
        json!(""),
        json!(1_u64 << 53),
        json!(1_u64 << 63),
    ] {
        let seen = json!({"state": "healthy", "evidence": {"pages": value}});
        let reply = service.post_json(PATH, &seen).await;
        assert_eq!(reply.problem(422), "evidence_not_of_its_kind", "{value}");
        assert_eq!(reply.json()["pointer"], "/evidence/pages", "{value}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("`/evidence/pages`: must be a text"), "{detail}");
        let list = json!([observed(&json!({"pages": value})), observed(&json!({"pages": 1}))]);
        let reply = service.post_json(EVENTS, &list).await.ok(200);
        let results = &reply["results"];
        assert_eq!(results[0]["problem"]["code"], "evidence_not_of_its_kind", "{value}");
        assert_eq!(results[1]["status"], "recorded", "{value}");
    }
    assert_eq!(service.size().await, size + 8, "the good ones, and nothing else");
}

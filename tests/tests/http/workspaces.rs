//! Workspaces and their catalogs.

use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, Service};

const ALL: &str = "/v1/workspaces";

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_workspace_is_made_once_and_listed_by_name(#[case] database: Database) {
    let service = Service::on(database).await;
    let made = service.post_json(ALL, &json!({"name": "a-team", "reason": "grows"})).await.ok(201);
    assert_eq!(made["name"], "a-team");
    let again = service.post_json(ALL, &json!({"name": "a-team", "reason": "grows"})).await;
    assert_eq!(again.problem(409), "workspace_exists");
    let all = service.get(ALL).await.ok(200);
    for silent in [json!({"name": "x"}), json!({"name": "x", "reason": " "})] {
        assert_eq!(service.post_json(ALL, &silent).await.problem(422), "invalid_body");
    }
    let log = service.get("/v1/workspaces/a-team/log").await;
    let log = String::from_utf8(log.body.to_vec()).unwrap();
    for (line, kind) in log.lines().zip(["workspace.created", "catalog.published"]) {
        let event = serde_json::from_str::<Value>(line).unwrap()["event"].take();
        let told = (&event["type"], &event["actor"]["id"], &event["data"]["reason"]);
        assert_eq!(told, (&json!(kind), &json!("administrator"), &json!("grows")));
    }
    let names: Vec<_> = all["items"].as_array().unwrap().iter().map(|view| &view["name"]).collect();
    assert_eq!(names, ["a-team", "main"]);
    assert_eq!(all["items"][0], made);
}

#[tokio::test]
async fn a_workspace_that_does_not_fit_is_refused_by_name() {
    let service = Service::on(Database::Sqlite).await;
    for name in ["", "A", "a b", "-a", "ä", &"x".repeat(64)] {
        let reply = service.post_json(ALL, &json!({"name": name, "reason": "r"})).await;
        assert_eq!(reply.problem(422), "invalid_body", "{name}");
    }
    let reply = service.post_json(ALL, &json!({"name": "x", "reason": "r", "catalogue": ""})).await;
    assert_eq!(reply.problem(422), "invalid_body");
    assert!(reply.json()["detail"].as_str().unwrap().contains("`catalogue`"));
    let reply = service.post(ALL, "[\"x\", null]").await;
    assert_eq!(reply.problem(422), "invalid_body");
    assert!(reply.json()["detail"].as_str().unwrap().contains("expected an object"));
    assert_eq!(service.post(ALL, "{\"name\":").await.problem(400), "not_json");
    assert_eq!(
        service.post(ALL, "{\"name\":\"x\",\"reason\":\"r\"} {}").await.problem(400),
        "not_json"
    );
    let reply = service
        .post_json(ALL, &json!({"name": "x", "reason": "r", "catalog": "version = 2"}))
        .await;
    assert_eq!(reply.problem(422), "invalid_catalog");
    assert_eq!(service.get(ALL).await.ok(200)["items"].as_array().unwrap().len(), 1);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_catalog_comes_into_force_once(#[case] database: Database) {
    let service = Service::on(database).await;
    let path = "/v1/workspaces/main/catalog?reason=ours";
    let silent = service.post("/v1/workspaces/main/catalog", "version = 1").await;
    assert_eq!(silent.problem(400), "invalid_query");
    let text = runledger_ledger::catalog::Catalog::built_in().text().to_owned();
    let reply = service.post(path, text.clone()).await.ok(200);
    assert_eq!(reply["status"], "duplicate");
    let reply = service.post(path, format!("{text}\n# Ours.\n")).await.ok(201);
    assert_eq!((&reply["status"], &reply["position"]), (&json!("recorded"), &json!(2)));
    assert_eq!(reply["event_type"], "catalog.published");
    let reply = service.post(path, "version = 1\n[famly]").await;
    assert_eq!(reply.problem(422), "invalid_catalog");
    let problem = reply.json();
    let flaws = problem["errors"].as_array().unwrap();
    assert!(flaws.iter().any(|flaw| flaw["line"] == 2), "{problem}");
    assert_eq!(service.size().await, 3);
    let reply = service.post("/v1/workspaces/other/catalog?reason=ours", text).await;
    assert_eq!(reply.problem(404), "unknown_workspace");
}

#[tokio::test]
async fn a_workspace_whose_catalog_is_too_long_is_not_made() {
    let service = Service::on(Database::Sqlite).await;
    let built_in = runledger_ledger::catalog::Catalog::built_in();
    let long = format!("{}\n# {}\n", built_in.text(), "\"".repeat(40_000));
    let reply = service.post_json(ALL, &json!({"name": "x", "reason": "r", "catalog": long})).await;
    assert_eq!(reply.problem(422), "invalid_catalog");
    assert_eq!(service.get("/v1/workspaces/x/runs").await.problem(404), "unknown_workspace");
    service.post_json(ALL, &json!({"name": "x", "reason": "r"})).await.ok(201);
}

//! The life of a person: made, given a password, disabled, enabled, removed; each of it in the log,
//! and nothing of the password anywhere.

use rstest::rstest;
use serde_json::{Value, json};

use super::ask;
use crate::service::{Database, Service};

const PEOPLE: &str = "/v1/people";
const PASSWORD: &str = "a horse of correct colour";

/// The events of a workspace since a position: type, data.
async fn recorded(service: &Service, workspace: &str, from: u64) -> Vec<(String, Value)> {
    let reply = service.get(&format!("/v1/workspaces/{workspace}/log?from={from}")).await;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = |event: Value| {
        let event = &event["event"];
        assert_eq!(event["actor"]["id"], "administrator", "{event}");
        (event["type"].as_str().unwrap().to_owned(), event["data"].clone())
    };
    events.map(told).collect()
}

async fn add(service: &Service, name: &str) {
    let new = json!({"name": name, "password": PASSWORD, "reason": "joins"});
    service.post_json(PEOPLE, &new).await.ok(201);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_person_is_made_changed_and_removed_and_the_log_of_each_workspace_tells_it(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let (main, other) = (service.size().await, 2);
    add(&service, "ada").await;
    let state = async || service.get(PEOPLE).await.ok(200)["items"][0]["state"].clone();
    assert_eq!(state().await, "active");
    let grant = json!({"name": "ada", "role": "viewer", "reason": "looks"});
    service.post_json("/v1/workspaces/other/members", &grant).await.ok(200);
    let because = json!({"reason": "on leave"});
    let change = async |what: &str, body: &Value| {
        service.post_json(&format!("{PEOPLE}/ada/{what}"), body).await.ok(200)
    };
    change("disable", &because).await;
    assert_eq!(state().await, "disabled");
    assert_eq!(change("disable", &because).await, json!({}), "once more changes nothing");
    change("enable", &json!({"reason": "is back"})).await;
    assert_eq!(change("enable", &because).await, json!({}));
    change("password", &json!({"password": "another of the kind", "reason": "forgot"})).await;
    change("remove", &json!({"reason": "leaves"})).await;
    assert_eq!(service.get(PEOPLE).await.ok(200)["items"], json!([]));
    let members = service.get("/v1/workspaces/other/members").await.ok(200);
    assert_eq!(members["items"], json!([]), "the role is gone with the person");

    let told = |change: &str, reason: &str| {
        let data = json!({"person": "ada", "change": change, "reason": reason});
        ("person.changed".to_owned(), data)
    };
    let changes = [
        told("added", "joins"),
        told("disabled", "on leave"),
        told("enabled", "is back"),
        told("password_set", "forgot"),
        told("removed", "leaves"),
    ];
    assert_eq!(recorded(&service, "main", main).await, changes);
    let elsewhere = recorded(&service, "other", other).await;
    let kinds: Vec<&str> = elsewhere.iter().map(|(kind, _)| kind.as_str()).collect();
    let person = "person.changed";
    let expected = ["member.granted", person, person, person, "member.removed", person];
    assert_eq!(kinds, expected, "{elsewhere:?}");
    // The name is free again.
    add(&service, "ada").await;
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_cannot_be_done_about_people_is_said_and_recorded_nowhere(#[case] database: Database) {
    let service = Service::on(database).await;
    add(&service, "ada").await;
    let size = service.size().await;
    let again = json!({"name": "ada", "password": PASSWORD, "reason": "r"});
    assert_eq!(service.post_json(PEOPLE, &again).await.problem(409), "name_taken");
    for wrong in [
        json!({"name": "Ada", "password": PASSWORD, "reason": "r"}),
        json!({"name": "administrator", "password": PASSWORD, "reason": "r"}),
        json!({"name": "bob", "password": "secret-word", "reason": "r"}),
        json!({"name": "bob", "password": "secret-word".repeat(40), "reason": "r"}),
        json!({"name": "bob", "password": PASSWORD}),
        json!({"name": "bob", "reason": "r"}),
    ] {
        let reply = service.post_json(PEOPLE, &wrong).await;
        assert_eq!(reply.problem(422), "invalid_body", "{wrong}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("secret-word"), "{reply:?}");
    }
    for what in ["disable", "enable", "remove", "sessions/end"] {
        let path = format!("{PEOPLE}/bob/{what}");
        let reply = service.post_json(&path, &json!({"reason": "r"})).await;
        assert_eq!(reply.problem(404), "unknown_person", "{what}");
    }
    assert_eq!(service.get(&format!("{PEOPLE}/bob/sessions")).await.problem(404), "unknown_person");
    let because = json!({"reason": "r"});
    let none = format!("{PEOPLE}/ada/sessions/{}/end", crate::service::run(9));
    assert_eq!(service.post_json(&none, &because).await.problem(404), "unknown_session");
    assert_eq!(service.size().await, size);
}

#[tokio::test]
async fn no_owner_of_a_workspace_changes_who_there_is_on_the_server() {
    let service = Service::on(Database::Sqlite).await;
    let new = json!({"name": "boss", "role": "admin", "reason": "r"});
    let made = service.post_json("/v1/workspaces/main/tokens", &new).await.ok(201);
    let token = made["token"].as_str().unwrap();
    let new = json!({"name": "ada", "password": PASSWORD, "reason": "r"}).to_string();
    for (method, path) in [("GET", PEOPLE), ("POST", PEOPLE), ("POST", "/v1/people/boss/disable")] {
        assert_eq!(ask(&service, token, method, path, &new).await.problem(403), "forbidden");
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn no_password_and_nothing_made_of_it_is_in_any_answer_or_event(#[case] database: Database) {
    let service = Service::on(database).await;
    let from = service.size().await;
    add(&service, "ada").await;
    let all = [
        service.get(PEOPLE).await,
        service.get("/v1/people/ada/sessions").await,
        service.get(&format!("/v1/workspaces/main/log?from={from}")).await,
        service.get("/v1/workspaces/main/members").await,
    ];
    let stored = service.app.ledger().store().credential("ada").await.unwrap().unwrap();
    assert!(stored.password.starts_with("$argon2id$"), "{stored:?}");
    let hash = stored.password.rsplit('$').next().unwrap();
    for reply in all {
        let text = String::from_utf8_lossy(&reply.body);
        for secret in [PASSWORD, "argon2", hash] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(!format!("{stored:?}").contains(hash), "nor in what a log would show");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_is_given_to_a_person_is_never_given_to_a_program_of_the_same_name(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let token = json!({"name": "ada", "role": "viewer", "reason": "a program"});
    service.post_json("/v1/workspaces/main/tokens", &token).await.ok(201);
    add(&service, "ada").await;
    let members = "/v1/workspaces/main/members";
    let roles = async || {
        let listed = service.get(members).await.ok(200)["items"].clone();
        let listed = listed.as_array().unwrap().clone();
        let of = |one: &Value| format!("{} {}", one["kind"], one["role"]).replace('"', "");
        let mut roles: Vec<String> = listed.iter().map(of).collect();
        roles.sort_unstable();
        roles
    };
    let mut grant = json!({"name": "ada", "role": "owner", "reason": "founded it"});
    assert_eq!(service.post_json(members, &grant).await.problem(409), "ambiguous_name");
    assert_eq!(roles().await, ["service viewer"]);
    grant["kind"] = json!("person");
    service.post_json(members, &grant).await.ok(200);
    assert_eq!(roles().await, ["person owner", "service viewer"]);
    let remove = format!("{members}/ada/remove");
    let mut removal = json!({"reason": "leaves"});
    assert_eq!(service.post_json(&remove, &removal).await.problem(409), "ambiguous_name");
    removal["kind"] = json!("service");
    service.post_json(&remove, &removal).await.ok(200);
    assert_eq!(roles().await, ["person owner"]);
    // Now only one is called so.
    service.post_json(&remove, &json!({"reason": "leaves"})).await.ok(200);
    assert_eq!(roles().await, [""; 0]);
    let blank = json!({"name": "ada", "role": "viewer", "reason": "  "});
    assert_eq!(service.post_json(members, &blank).await.problem(422), "invalid_body");
}

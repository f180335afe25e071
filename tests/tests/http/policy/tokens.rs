//! The life of a token: made, used, replaced, revoked; each of it in the log.

use rstest::rstest;
use serde_json::{Value, json};

use super::{ask, token};
use crate::service::{Database, Service};

const TOKENS: &str = "/v1/workspaces/main/tokens";
const RUNS: &str = "/v1/workspaces/main/runs";

async fn status(service: &Service, token: &str) -> u16 {
    ask(service, token, "GET", RUNS, "").await.status.as_u16()
}

/// The types of the events since a position, with who made them and why.
async fn recorded(service: &Service, from: u64) -> Vec<(String, Value, Value)> {
    let reply = service.get(&format!("/v1/workspaces/main/log?from={from}")).await;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = |event: Value| {
        let event = &event["event"];
        let kind = event["type"].as_str().unwrap().to_owned();
        (kind, event["actor"]["id"].clone(), event["data"]["reason"].clone())
    };
    events.map(told).collect()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_token_is_made_shown_once_replaced_and_revoked_and_the_log_tells_it(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let new = json!({"name": "ci", "role": "viewer", "days": 1, "reason": "deploys"});
    let made = service.post_json(TOKENS, &new).await;
    assert_eq!(made.headers["cache-control"], "no-store", "nobody on the way keeps a copy");
    let made = made.ok(201);
    let (id, first) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(first.starts_with("rll_live_"), "{first}");
    assert_eq!(status(&service, first).await, 200);
    assert_eq!(status(&service, &format!("{first}x")).await, 401);
    let listed = service.get(TOKENS).await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(first));
    assert_eq!(listed.json()["items"][0]["role"], "viewer");

    let rotate = json!({"overlap_hours": 2, "reason": "every month"});
    let rotated = service.post_json(&format!("{TOKENS}/{id}/rotate"), &rotate).await.ok(201);
    let second = rotated["token"].as_str().unwrap();
    assert_eq!((status(&service, first).await, status(&service, second).await), (200, 200));
    service.wait(2 * 3_600);
    assert_eq!((status(&service, first).await, status(&service, second).await), (401, 200));

    let path = format!("{TOKENS}/{}/revoke", rotated["id"].as_str().unwrap());
    service.post_json(&path, &json!({"reason": "leaked"})).await.ok(200);
    assert_eq!(status(&service, second).await, 401);
    // Once more changes nothing, and is no event.
    assert_eq!(service.post_json(&path, &json!({"reason": "leaked"})).await.ok(200), json!({}));
    let told = recorded(&service, 2).await;
    let told: Vec<(&str, &Value)> =
        told.iter().map(|(kind, _, reason)| (kind.as_str(), reason)).collect();
    assert_eq!(
        told,
        [
            ("member.granted", &json!("deploys")),
            ("token.created", &json!("deploys")),
            ("token.created", &json!("every month")),
            ("token.revoked", &json!("leaked")),
        ]
    );
}

#[tokio::test]
async fn a_token_ends_with_its_day_and_with_the_role_of_its_holder() {
    let service = Service::on(Database::Sqlite).await;
    let new = json!({"name": "ci", "role": "viewer", "days": 1, "reason": "r"});
    let made = service.post_json(TOKENS, &new).await.ok(201);
    let short = made["token"].as_str().unwrap().to_owned();
    let long = token(&service, "main", "auditor", None).await;
    service.wait(86_400);
    assert_eq!((status(&service, &short).await, status(&service, &long).await), (401, 200));
    let members = "/v1/workspaces/main/members";
    let narrowed = json!({"name": "auditor-all", "role": "reporter", "reason": "less"});
    service.post_json(members, &narrowed).await.ok(200);
    assert_eq!(status(&service, &long).await, 403, "the next request already");
    let path = format!("{members}/auditor-all/remove");
    service.post_json(&path, &json!({"reason": "gone"})).await.ok(200);
    assert_eq!(status(&service, &long).await, 401);
    assert_eq!(
        service.post_json(&path, &json!({"reason": "x"})).await.problem(404),
        "unknown_member"
    );
    let told = recorded(&service, 2).await;
    assert_eq!(told.last().unwrap().0, "member.removed");
}

#[tokio::test]
async fn an_administrator_makes_no_owner_and_is_named_in_the_log() {
    let service = Service::on(Database::Sqlite).await;
    let admin = token(&service, "main", "admin", None).await;
    let from = service.size().await;
    let owner = json!({"name": "boss", "role": "owner", "reason": "r"}).to_string();
    assert_eq!(ask(&service, &admin, "POST", TOKENS, &owner).await.problem(403), "forbidden");
    let viewer = json!({"name": "tv", "role": "viewer", "reason": "the wall"}).to_string();
    ask(&service, &admin, "POST", TOKENS, &viewer).await.ok(201);
    let other = json!({"name": "tv", "role": "operator", "reason": "more"}).to_string();
    assert_eq!(ask(&service, &admin, "POST", TOKENS, &other).await.problem(409), "other_role");
    for name in [" ci", "a b", "-ci", "cі", "Administrator", "system"] {
        let new = json!({"name": name, "role": "viewer", "reason": "r"}).to_string();
        assert_eq!(ask(&service, &admin, "POST", TOKENS, &new).await.problem(422), "invalid_name");
    }
    for wrong in [
        json!({"name": "a", "role": "admin", "environments": ["x"], "reason": "r"}),
        json!({"name": "b", "role": "viewer", "environments": [], "reason": "r"}),
        json!({"name": "c", "role": "viewer", "days": 4000, "reason": "r"}),
        json!({"name": "d", "role": "viewer"}),
    ] {
        let reply = ask(&service, &admin, "POST", TOKENS, &wrong.to_string()).await;
        assert_eq!(reply.problem(422), "invalid_body", "{wrong}");
    }
    let told = recorded(&service, from).await;
    assert!(told.iter().all(|(_, actor, _)| actor == "admin-all"), "{told:?}");
}

#[tokio::test]
async fn a_workspace_keeps_an_owner_but_for_the_administrator_of_the_server() {
    let service = Service::on(Database::Sqlite).await;
    let members = "/v1/workspaces/main/members";
    let one = token(&service, "main", "owner", None).await;
    let viewer = json!({"name": "owner-all", "role": "viewer", "reason": "r"}).to_string();
    let because = json!({"reason": "r"}).to_string();
    let remove = |name: &str| format!("{members}/{name}/remove");
    let size = service.size().await;
    for (path, body) in [(members.to_owned(), &viewer), (remove("owner-all"), &because)] {
        assert_eq!(ask(&service, &one, "POST", &path, body).await.problem(409), "last_owner");
    }
    // The only token of the only owner is as good as the owner.
    let listed = service.get(TOKENS).await.ok(200);
    let id = listed["items"][0]["id"].as_str().unwrap();
    let path = format!("{TOKENS}/{id}/revoke");
    assert_eq!(ask(&service, &one, "POST", &path, &because).await.problem(409), "last_owner");
    assert_eq!(service.size().await, size);
    let two = json!({"name": "two", "role": "owner", "reason": "r"}).to_string();
    let made = ask(&service, &one, "POST", TOKENS, &two).await.ok(201);
    let two = made["token"].as_str().unwrap();
    ask(&service, two, "POST", &remove("owner-all"), &because).await.ok(200);
    assert_eq!(
        ask(&service, two, "POST", &remove("two"), &because).await.problem(409),
        "last_owner"
    );
    service.post(&remove("two"), because).await.ok(200);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn two_owners_who_remove_each_other_at_once_are_not_both_gone(#[case] database: Database) {
    let service = Service::on(database).await;
    let because = json!({"reason": "r"}).to_string();
    let remove = |name: &str| format!("/v1/workspaces/main/members/{name}/remove");
    for round in 0..8 {
        let names = [format!("a{round}"), format!("b{round}")];
        let mut tokens = Vec::new();
        for name in &names {
            let new = json!({"name": name, "role": "owner", "reason": "r"});
            let made = service.post_json(TOKENS, &new).await.ok(201);
            tokens.push(made["token"].as_str().unwrap().to_owned());
        }
        let (first, second) = (remove(&names[0]), remove(&names[1]));
        let (one, other) = tokio::join!(
            ask(&service, &tokens[1], "POST", &first, &because),
            ask(&service, &tokens[0], "POST", &second, &because),
        );
        let done = [&one, &other].iter().filter(|reply| reply.status.is_success()).count();
        assert_eq!(done, 1, "round {round}: {one:?} {other:?}");
        let listed = service.get("/v1/workspaces/main/members").await.ok(200);
        let owners = listed["items"].as_array().unwrap().iter();
        let left: Vec<_> = owners.filter(|member| member["role"] == "owner").collect();
        assert_eq!(left.len(), 1, "{left:?}");
        let name = left[0]["name"].as_str().unwrap();
        service.post(&remove(name), because.clone()).await.ok(200);
    }
}

#[tokio::test]
async fn a_token_of_another_workspace_is_as_unknown_as_none() {
    let service = Service::on(Database::Sqlite).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let new = json!({"name": "ci", "role": "viewer", "reason": "r"});
    let foreign = service.post_json("/v1/workspaces/other/tokens", &new).await.ok(201);
    let id = foreign["id"].as_str().unwrap();
    for what in ["revoke", "rotate"] {
        let because = json!({"reason": "r"});
        let reply = service.post_json(&format!("{TOKENS}/{id}/{what}"), &because).await;
        assert_eq!(reply.problem(404), "unknown_token");
        let missing = id.replace(char::is_numeric, "0");
        let missing = service.post_json(&format!("{TOKENS}/{missing}/{what}"), &because).await;
        assert_eq!(reply.headers, missing.headers);
    }
    let token = foreign["token"].as_str().unwrap();
    let path = "/v1/workspaces/other/runs";
    assert_eq!(ask(&service, token, "GET", path, "").await.status, 200);
}

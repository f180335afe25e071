//! Every route with every role, in the own and in a foreign workspace and environment.

mod alike;
mod fuzz;
mod names;
pub(crate) mod narrowed;
mod people;
mod tokens;
mod unmoved;

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::{Request, header};
use rstest::rstest;
use runledger::policy::{Action, OPEN_PAGES, PAGES, ROUTES};
use serde_json::{Value, json};

use crate::service::{Database, Reply, Service, run};

/// The roles that tokens are given here; a person alone is an owner.
const ROLES: [&str; 6] = ["admin", "operator", "auditor", "viewer", "reporter", "adapter"];
/// What an adapter of the service is called.
const ADAPTER: &str = "report.files";

/// Who may do what, said a second time and by hand: the test of the function that decides.
pub(crate) fn allowed(action: Action) -> &'static [&'static str] {
    match action {
        Action::AskOfSelf => &ROLES,
        Action::ReadServer | Action::RunServer => &[],
        Action::ReadVerdicts | Action::ReadAdapters => &["admin", "operator", "auditor", "viewer"],
        Action::ReadEvents | Action::ReadLog => &["admin", "operator", "auditor"],
        Action::Export | Action::ReadAccess => &["admin", "auditor"],
        Action::Report => &["admin", "operator", "reporter"],
        Action::FollowUp | Action::AskAdapter | Action::KeepViews => &["admin", "operator"],
        Action::Judge => &["admin", "adapter"],
        Action::PublishCatalog | Action::ManageAccess | Action::Erase => &["admin"],
    }
}

/// What a role that is held to an environment may do all the same.
pub(crate) fn is_for_an_environment(action: Action) -> bool {
    matches!(
        action,
        Action::AskOfSelf
            | Action::ReadVerdicts
            | Action::ReadEvents
            | Action::Report
            | Action::FollowUp
            | Action::AskAdapter
    )
}

/// Makes a token in a workspace.
async fn token(service: &Service, workspace: &str, role: &str, of: Option<&[&str]>) -> String {
    let name = match role {
        "adapter" => ADAPTER.to_owned(),
        _ => format!("{role}-{}", of.map_or("all".to_owned(), |names| names.join("-"))),
    };
    let mut new = json!({"name": name, "role": role, "reason": "for a test"});
    if let Some(of) = of {
        new["environments"] = json!(of);
    }
    let made = service.post_json(&format!("/v1/workspaces/{workspace}/tokens"), &new).await;
    made.ok(201)["token"].as_str().unwrap().to_owned()
}

/// Asks with a token.
async fn ask(service: &Service, token: &str, method: &str, path: &str, body: &str) -> Reply {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    service.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

/// A path of a route, about this workspace.
fn filled(route: &str, workspace: &str) -> String {
    let path = route
        .replace("{workspace}", workspace)
        .replace("{run}", &run(1))
        .replace("{item}", "00000000000000000000000000000000")
        .replace("{adapter}", ADAPTER)
        .replace("{claim}", &run(9))
        .replace("{pack}", &run(9))
        .replace("{simulation}", &run(9))
        .replace("{erasure}", &run(9))
        .replace("{token}", &run(9))
        .replace("{member}", "nobody")
        .replace("{person}", "nobody")
        .replace("{session}", &run(9))
        .replace("{type}", "tenant")
        .replace("{id}", "7")
        .replace("{level}", "0")
        .replace("{*index}", "000")
        .replace("{position}", "0");
    assert!(!path.contains('{'), "say in `filled` what {path} is asked with");
    if path.starts_with("/api/v1/lineage") {
        return format!("{path}?workspace={workspace}");
    }
    path
}

#[tokio::test]
async fn every_route_of_the_api_is_in_the_policy() {
    let service = Service::on(Database::Sqlite).await;
    let api = service.get("/openapi.json").await.ok(200);
    let mut described = BTreeSet::new();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"] != json!([{}]) {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    let ruled =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), path.replace("{*", "{")));
    let ruled: BTreeSet<(String, String)> = ruled.collect();
    if let Some((method, path)) = described.difference(&ruled).next() {
        panic!(
            "{method} {path} has no rule, so nobody may ask it: add a line (\"{method}\", \
             \"{path}\", Action::…) to ROUTES in api/src/policy.rs, with the action that it is"
        );
    }
    if let Some((method, path)) = ruled.difference(&described).next() {
        panic!(
            "there is no route {method} {path} any more: take it off ROUTES in api/src/policy.rs"
        );
    }
}

#[test]
fn every_page_is_in_the_policy() {
    let source = include_str!("../../../api/src/web.rs");
    let ruled: BTreeSet<(&str, &str)> = PAGES.iter().map(|rule| (rule.0, rule.1)).collect();
    let open: BTreeSet<(&str, &str)> = OPEN_PAGES.iter().copied().collect();
    let mut found = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap();
        let handlers = &route[..route.find("\n        .").unwrap_or(route.len())];
        for (method, word) in [("GET", "get("), ("POST", "post("), ("DELETE", "delete(")] {
            if handlers.contains(word) {
                found.insert((method, path));
                assert!(
                    ruled.contains(&(method, path)) || open.contains(&(method, path)),
                    "{method} {path} has no rule, so nobody sees it: add a line (\"{method}\", \
                     \"{path}\", Action::…) to PAGES in api/src/policy.rs, or to OPEN_PAGES if it \
                     is for everybody"
                );
            }
        }
    }
    assert!(found.len() > 15, "the routes of web.rs are not found any more: {found:?}");
    let gone: Vec<_> = ruled.union(&open).filter(|page| !found.contains(*page)).collect();
    assert!(
        gone.is_empty(),
        "there are no pages {gone:?} any more: take them off api/src/policy.rs"
    );
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn every_role_may_do_on_every_route_what_the_table_says(#[case] database: Database) {
    let service = Service::following(database).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    service.dispatch(1, json!({"operation": "backup.create", "environment": "production"})).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let mut tokens = BTreeMap::new();
    for role in ROLES {
        tokens.insert((role, false), token(&service, "main", role, None).await);
        if !["admin", "adapter"].contains(&role) {
            let held = token(&service, "main", role, Some(&["production"])).await;
            tokens.insert((role, true), held);
        }
    }
    for (method, route, action) in ROUTES {
        for ((role, held), token) in &tokens {
            let case = format!("{method} {route} as {role}{}", if *held { ", held" } else { "" });
            let reply = ask(&service, token, method, &filled(route, "main"), "{}").await;
            let may = allowed(*action).contains(role) && (!held || is_for_an_environment(*action));
            let refused = reply.status == 403 && reply.json()["code"] == "forbidden";
            assert_eq!(may, !refused, "{case}: {}", reply.status);
            assert_ne!(reply.status, 401, "{case}");
            if !route.contains("{workspace}") && !route.contains("lineage") {
                continue;
            }
            // A foreign workspace and one that is not there, byte for byte.
            let foreign = ask(&service, token, method, &filled(route, "other"), "{}").await;
            let missing = ask(&service, token, method, &filled(route, "nowhere"), "{}").await;
            assert_eq!(foreign.problem(404), "unknown_workspace", "{case}");
            assert_eq!(foreign.body, missing.body, "{case}");
            assert_eq!(foreign.headers, missing.headers, "{case}");
        }
    }
}

#[tokio::test]
async fn a_wrong_question_is_answered_alike_whether_the_workspace_is_foreign_or_missing() {
    let service = Service::on(Database::Sqlite).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let token = token(&service, "main", "admin", None).await;
    for tail in
        ["/runs?nonsense=1", "/runs/none", "/runs?as_of=2099-01-01T00:00:00Z", "/log?from=x"]
    {
        let mut replies = Vec::new();
        for workspace in ["other", "nowhere", "Not a name"] {
            let path = format!("/v1/workspaces/{}{tail}", workspace.replace(' ', "%20"));
            let reply = ask(&service, &token, "GET", &path, "").await;
            replies.push((reply.status, reply.headers, reply.body));
        }
        assert_eq!(replies[0], replies[1], "{tail}");
        assert_eq!(replies[0], replies[2], "{tail}");
        assert_eq!(replies[0].0, 404, "{tail}");
    }
    let names: Vec<Value> = vec![json!("main")];
    let list = ask(&service, &token, "GET", "/v1/workspaces", "").await.ok(200);
    let listed: Vec<Value> =
        list["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(listed, names);
}

//! Every page with every role that a person can have: let in or not as the table says, and without
//! what the role does not see.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures::StreamExt as _;
use rstest::rstest;
use runledger::policy::{Action, PAGES};
use serde_json::json;

use super::people::{Browser, add, address};
use super::{HOST, between};
use crate::policy::narrowed::{EVIDENCE, HIDDEN, happenings};
use crate::policy::{allowed, is_for_an_environment};
use crate::service::{Database, Service, run};

/// The roles that people can have, and whether they may be held to an environment.
const ROLES: [(&str, bool); 6] = [
    ("owner", false),
    ("admin", false),
    ("operator", true),
    ("auditor", true),
    ("viewer", true),
    ("reporter", true),
];

fn may(role: &str, held: bool, action: Action) -> bool {
    // An owner may what an administrator of the workspace may, and change other owners.
    let role = if role == "owner" { "admin" } else { role };
    allowed(action).contains(&role) && (!held || is_for_an_environment(action))
}

fn filled(page: &str, workspace: &str, number: u8) -> String {
    let path = page
        .replace("{workspace}", workspace)
        .replace("{run}", &run(number))
        .replace("{name}", "none")
        .replace("{person}", "owner-false");
    assert!(!path.contains('{'), "say in `filled` what {path} is asked with");
    path
}

/// One person of each role, signed in.
async fn everybody(service: &Service) -> Vec<(&'static str, bool, Browser<'_>)> {
    let mut all = Vec::new();
    for (role, may_be_held) in ROLES {
        for held in [false, true] {
            if held && !may_be_held {
                continue;
            }
            let name = format!("{role}-{held}");
            add(service, &name).await;
            let mut grant = json!({"name": name, "role": role, "reason": "for a test"});
            if held {
                grant["environments"] = json!(["production"]);
            }
            service.post_json("/v1/workspaces/main/members", &grant).await.ok(200);
            let at = address(u8::try_from(all.len()).unwrap());
            all.push((role, held, Browser::of(service, &name, at, "a test").await));
        }
    }
    all
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn every_role_is_let_in_on_every_page_as_the_table_says(#[case] database: Database) {
    let service = Service::on(database).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    happenings(&service).await;
    for (role, held, browser) in everybody(&service).await {
        let form_token = between(&browser.page("/account").await, "\"form_token\" value=\"", "\"");
        for (method, page, action) in PAGES {
            let case = format!("{method} {page} as {role}{}", if held { ", held" } else { "" });
            let ask = async |workspace: &str| {
                let request = Request::builder()
                    .method(*method)
                    .uri(filled(page, workspace, 1))
                    .header(header::HOST, HOST)
                    .header(header::COOKIE, browser.cookie())
                    .header("sec-fetch-site", "same-origin")
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                let more = if page.ends_with("/ask") { "&dry_run=true" } else { "" };
                let form = Body::from(format!("form_token={form_token}{more}"));
                service.knock(request.body(form).unwrap()).await
            };
            let (status, _) = ask("main").await;
            assert_eq!(
                status != StatusCode::FORBIDDEN,
                may(role, held, *action),
                "{case}: {status}"
            );
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{case}");
            assert!(!status.is_server_error(), "{case}: {status}");
            if page.contains("{workspace}") {
                // A foreign workspace is one that is not there.
                let (foreign, missing) = (ask("other").await, ask("nowhere").await);
                assert_eq!(foreign.0, StatusCode::NOT_FOUND, "{case}");
                assert_eq!(foreign, missing, "{case}");
            }
        }
        assert!(browser.is_in().await, "{role}: what was asked ended the session");
    }
}

#[tokio::test]
async fn nobody_is_shown_a_form_that_their_role_does_not_allow() {
    let service = Service::following(Database::Sqlite).await;
    let failed = json!({"operation": "acme.own", "environment": "production",
        "reason_code": "timeout"});
    service.record(&[crate::service::event(1, "run.failed", failed)]).await;
    for (role, held, browser) in everybody(&service).await {
        if !may(role, held, Action::ReadVerdicts) {
            continue;
        }
        let acts = may(role, held, Action::FollowUp);
        let page = browser.page(&format!("/w/main/runs/{}", run(1))).await;
        assert!(page.contains("data-action=\"resolve\""), "what may be done is told: {role}");
        assert_eq!(page.contains("name=\"action\" value=\"resolve\""), acts, "{role} {held}");
        assert_eq!(page.contains("data-not-yours"), !acts, "{role} {held}");
        for list in ["follow-ups", "runs?follow_up=true"] {
            let page = browser.page(&format!("/w/main/{list}")).await;
            assert_eq!(page.contains("id=\"resolve-marked\""), acts, "{role} {held} {list}");
        }
    }
}

#[tokio::test]
async fn all_workspaces_are_told_by_the_environments_in_sight() {
    let service = Service::following(Database::Sqlite).await;
    happenings(&service).await;
    let all = everybody(&service).await;
    for (role, held, browser) in
        all.iter().filter(|(role, held, _)| may(role, *held, Action::ReadVerdicts))
    {
        let page = browser.page("/w").await;
        let row = super::between(&page, "data-row=\"main\"", "</tr>");
        // Of three failures one is of the environment, and of three active runs as many.
        let open = if *held { 1 } else { 3 };
        assert!(row.contains(&format!("href=\"/w/main/follow-ups\">{open}</a>")), "{role}: {row}");
        let active = super::between(&row, "runs?actionability=not_terminal\">", "<");
        assert_eq!(active, open.to_string(), "{role} {held}: {row}");
        assert!(!*held || !page.contains(HIDDEN), "{role}: {page}");
        assert!(!*held || !row.contains("/w/main/log"), "no count of all events: {role}: {row}");
        // The frame of a page that is of no workspace says the same.
        let account = browser.page("/account").await;
        let hint = |page: &str| {
            let hint = super::between(page, "id=\"activity\"", "</span>");
            hint.rsplit_once('>').unwrap().1.to_owned()
        };
        assert_eq!(hint(&account), hint(&page), "{role} {held}");
    }
}

#[tokio::test]
async fn a_page_of_one_environment_is_not_told_that_something_moved_elsewhere() {
    let service = Service::following(Database::Sqlite).await;
    happenings(&service).await;
    let all = everybody(&service).await;
    let (_, _, held) = all.iter().find(|(role, held, _)| *role == "viewer" && *held).unwrap();
    let asked = Request::get("/w/main/live").header(header::HOST, HOST);
    let asked = asked.header(header::COOKIE, held.cookie()).header("last-event-id", "0");
    let mut told = service.open(asked.body(Body::empty()).unwrap()).await;
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(60), told.next()).await;
        let bytes = next.expect("not even a beat came").unwrap().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    let first = next().await;
    service.dispatch(9, json!({"operation": "other.create", "environment": "staging"})).await;
    service.dispatch(10, json!({"operation": "other.create", "environment": "production"})).await;
    let (beat, retry) = (next().await, "retry: 2000\n");
    assert_eq!(first.replace(retry, ""), beat);
    assert!(beat.contains("event: beat") && !beat.contains("id:"), "{beat}");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn no_page_holds_what_the_role_does_not_see(#[case] database: Database) {
    let service = Service::on(database).await;
    happenings(&service).await;
    for (role, held, browser) in everybody(&service).await {
        let (mut read, mut evidence, mut hidden) = (0, 0, 0);
        for (method, page, action) in PAGES {
            if *method != "GET" || page.ends_with("/live") || !may(role, held, *action) {
                continue;
            }
            for number in 1..=6 {
                let path = filled(page, "main", number);
                let reply = browser.get(&path).await;
                let text = String::from_utf8(reply.body.to_vec()).unwrap();
                let case = format!("{path} as {role}, held: {held}: {text}");
                read += usize::from(reply.status == StatusCode::OK);
                evidence += usize::from(text.contains(EVIDENCE));
                hidden += usize::from(text.contains(HIDDEN));
                if role == "viewer" {
                    assert!(!text.contains(EVIDENCE), "{case}");
                    for part in ["class=\"events\"", "id=\"event-", "class=\"evidence\""] {
                        assert!(!text.contains(part), "{part} on {case}");
                    }
                }
                if held {
                    assert!(!text.contains(HIDDEN), "{case}");
                }
                if !page.contains("{run}") {
                    break;
                }
            }
        }
        // What others see shows that there is something to see.
        let sees = may(role, held, Action::ReadEvents);
        assert_eq!(evidence > 0, sees, "{role}, held: {held}");
        assert_eq!(hidden > 0, may(role, held, Action::ReadVerdicts) && !held, "{role}");
        assert!(read > 0, "{role}");
    }
}

#[tokio::test]
async fn a_person_is_no_adapter() {
    let service = Service::on(Database::Sqlite).await;
    add(&service, "ada").await;
    let grant = json!({"name": "ada", "role": "adapter", "reason": "r"});
    let reply = service.post_json("/v1/workspaces/main/members", &grant).await;
    assert_eq!(reply.problem(422), "invalid_body");
}

//! People who sign in: how they come in, how guessing is slowed, and what ends their sessions.

use std::net::IpAddr;
use std::num::NonZeroU32;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use rstest::rstest;
use runledger::limits::{LimitSettings, Peer, Rate};
use serde_json::json;

use super::{HOST, Visitor, between, each_between};
use crate::service::{Database, Reply, Service};

pub(super) const PASSWORD: &str = "a horse of correct colour";
const LINUX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const PHONE: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1";

pub(super) fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

/// A browser of somebody.
pub(super) struct Browser<'a> {
    service: &'a Service,
    cookie: String,
    at: IpAddr,
}

impl<'a> Browser<'a> {
    /// One that is signed in.
    pub(super) async fn of(service: &'a Service, name: &str, at: IpAddr, agent: &str) -> Self {
        let reply = sign_in(service, name, PASSWORD, at, agent).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{name}: {reply:?}");
        let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Browser { service, cookie, at }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        let request = Request::get(path).header(header::HOST, HOST);
        let request = request.header(header::COOKIE, &self.cookie);
        self.service.browse(request.body(Body::empty()).unwrap()).await
    }

    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    pub(super) async fn page(&self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
        String::from_utf8(reply.body.to_vec()).unwrap()
    }

    async fn form_token(&self) -> String {
        between(&self.page("/account").await, "name=\"form_token\" value=\"", "\"")
    }

    pub(super) async fn post(&self, path: &str, form: &str) -> Reply {
        let form = format!("form_token={}&{form}", self.form_token().await);
        post(self.service, path, &self.cookie, self.at, "", form).await
    }

    pub(super) async fn is_in(&self) -> bool {
        self.get("/account").await.status == StatusCode::OK
    }
}

async fn post(
    service: &Service,
    path: &str,
    cookie: &str,
    at: IpAddr,
    agent: &str,
    form: String,
) -> Reply {
    let request = Request::post(path)
        .header(header::HOST, HOST)
        .header(header::COOKIE, cookie)
        .header(header::USER_AGENT, agent)
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .extension(Peer(at));
    service.browse(request.body(Body::from(form)).unwrap()).await
}

pub(super) async fn sign_in(
    service: &Service,
    name: &str,
    password: &str,
    at: IpAddr,
    agent: &str,
) -> Reply {
    let form = format!("name={name}&password={}&next=/", password.replace(' ', "+"));
    post(service, "/sign-in", "", at, agent, form).await
}

pub(super) async fn add(service: &Service, name: &str) {
    let new = json!({"name": name, "password": PASSWORD, "reason": "joins"});
    service.post_json("/v1/people", &new).await.ok(201);
}

async fn change(service: &Service, name: &str, what: &str) {
    let path = format!("/v1/people/{name}/{what}");
    service.post_json(&path, &json!({"reason": "for a test"})).await.ok(200);
}

/// The events of `main` from a position: actor and data.
async fn recorded(service: &Service, from: u64) -> Vec<(String, serde_json::Value)> {
    let reply = service.get(&format!("/v1/workspaces/main/log?from={from}")).await;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let told = |event: serde_json::Value| {
        let event = &event["event"];
        (event["actor"]["id"].as_str().unwrap().to_owned(), event["data"].clone())
    };
    events.map(told).collect()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_person_signs_in_and_whoever_is_refused_is_told_the_same(#[case] database: Database) {
    let service = Service::on(database).await;
    for name in ["ada", "bob", "eve"] {
        add(&service, name).await;
    }
    change(&service, "bob", "disable").await;
    change(&service, "eve", "remove").await;
    let refused = async |name: &str, password: &str, at: u8| {
        let reply = sign_in(&service, name, password, address(at), LINUX).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{name}");
        assert!(!reply.headers.contains_key(header::SET_COOKIE));
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(!text.contains(password), "a password is never sent back");
        // What was typed stands in the form again, and makes it longer.
        let mut headers = reply.headers;
        headers.remove(header::CONTENT_LENGTH);
        (text.replace(&format!("value=\"{name}\""), "value=\"\""), headers)
    };
    let wrong = refused("ada", "another of its kind", 1).await;
    assert!(wrong.0.contains("That did not work"), "{}", wrong.0);
    assert_eq!(wrong, refused("nobody", PASSWORD, 2).await);
    assert_eq!(wrong, refused("bob", PASSWORD, 3).await);
    assert_eq!(wrong, refused("eve", PASSWORD, 4).await);
    assert_eq!(wrong, refused("administrator", PASSWORD, 5).await);
    for _ in 0..9 {
        assert_eq!(wrong, refused("ada", "another of its kind", 6).await);
    }
    assert_eq!(wrong, refused("ada", PASSWORD, 6).await, "also who was right, after too many");
    // However a keyboard writes it.
    let reply = sign_in(&service, "+Ada+", PASSWORD, address(1), LINUX).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    let listed = service.get("/v1/people").await.ok(200);
    assert_eq!(listed["items"][0]["signed_in_at"], crate::service::START);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_storm_from_one_address_keeps_nobody_out_who_is_in_or_elsewhere(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    add(&service, "ada").await;
    add(&service, "bob").await;
    let inside = Browser::of(&service, "ada", address(1), LINUX).await;
    let tries = (0..40).map(|_| sign_in(&service, "ada", "wrong", address(1), LINUX));
    for reply in futures::future::join_all(tries).await {
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let status = async |name: &str, at: u8| {
        sign_in(&service, name, PASSWORD, address(at), LINUX).await.status
    };
    assert_eq!(status("ada", 1).await, StatusCode::UNAUTHORIZED, "here nobody guesses on");
    assert!(inside.is_in().await, "a session is asked for no password");
    assert_eq!(status("ada", 2).await, StatusCode::SEE_OTHER, "nor is anybody elsewhere");
    assert_eq!(status("bob", 1).await, StatusCode::SEE_OTHER, "nor another one here");
    service.wait(2);
    assert_eq!(status("ada", 1).await, StatusCode::SEE_OTHER, "and here it passes");
    // Many names from one address wait as well; the administrator's token does not.
    for name in 0..40 {
        sign_in(&service, &format!("name-{name}"), "wrong", address(3), LINUX).await;
    }
    assert_eq!(status("ada", 3).await, StatusCode::UNAUTHORIZED);
    let form = format!("token={}&next=/", crate::service::TOKEN);
    let reply = post(&service, "/sign-in", "", address(3), LINUX, form).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn who_is_disabled_or_removed_is_out_at_once_and_stays_out(#[case] database: Database) {
    let service = Service::on(database).await;
    add(&service, "ada").await;
    let browser = Browser::of(&service, "ada", address(1), LINUX).await;
    change(&service, "ada", "disable").await;
    assert!(!browser.is_in().await);
    change(&service, "ada", "enable").await;
    assert!(!browser.is_in().await, "what has ended does not come back");
    let browser = Browser::of(&service, "ada", address(1), LINUX).await;
    let path = "/v1/people/ada/password";
    let new = json!({"password": "another of its kind", "reason": "forgot it"});
    service.post_json(path, &new).await.ok(200);
    assert!(!browser.is_in().await);
    let reply = sign_in(&service, "ada", PASSWORD, address(1), LINUX).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "the old password");
    let new = json!({"password": PASSWORD, "reason": "remembers it"});
    service.post_json(path, &new).await.ok(200);
    let browser = Browser::of(&service, "ada", address(1), LINUX).await;
    change(&service, "ada", "remove").await;
    assert!(!browser.is_in().await);
    add(&service, "ada").await;
    assert!(!browser.is_in().await, "another person of the same name");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_person_sees_where_they_are_signed_in_and_ends_it_and_nobody_elses(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    add(&service, "ada").await;
    add(&service, "bob").await;
    let [desk, phone, bob] = [
        Browser::of(&service, "ada", address(1), LINUX).await,
        Browser::of(&service, "ada", address(2), PHONE).await,
        Browser::of(&service, "bob", address(3), "curl/8.5.0").await,
    ];
    let page = desk.page("/account").await;
    assert!(page.contains("Firefox · Linux") && page.contains("Safari · iPhone"), "{page}");
    assert!(!page.contains("curl/8.5.0"), "the sessions of others are not there");
    assert!(page.contains("You have no role in any workspace yet"));
    assert_eq!(page.matches("this one").count(), 1);
    let sessions = |page: &str| each_between(page, "name=\"session\" value=\"", "\"");
    let foreign = sessions(&bob.page("/account").await);
    let foreign = foreign.first().unwrap();
    let reply = desk.post("/account/sessions", &format!("session={foreign}")).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert!(bob.is_in().await, "a session of somebody else is none");
    desk.post("/account/sessions", "others=true").await;
    assert!(desk.is_in().await && !phone.is_in().await && bob.is_in().await);
    let own = sessions(&desk.page("/account").await);
    assert_eq!(own.len(), 1);
    let reply = desk.post("/account/sessions", &format!("session={}", own.first().unwrap())).await;
    assert_eq!(reply.headers[header::LOCATION], "/sign-in");
    assert!(!desk.is_in().await);
    // A form of another session does nothing.
    let form = "form_token=0&others=true".to_owned();
    let reply = post(&service, "/account/sessions", &bob.cookie, address(3), "", form).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_person_changes_the_password_that_they_know(#[case] database: Database) {
    let service = Service::on(database).await;
    add(&service, "ada").await;
    let desk = Browser::of(&service, "ada", address(1), LINUX).await;
    let phone = Browser::of(&service, "ada", address(2), PHONE).await;
    let from = service.size().await;
    let form = |current: &str, new: &str, again: &str| {
        format!("current={current}&password={new}&again={again}").replace(' ', "+")
    };
    let new = "another of its kind";
    for (form, told) in [
        (form("not this one", new, new), "The current password is another one"),
        (form(PASSWORD, new, "another one"), "are not the same"),
        (form(PASSWORD, "short", "short"), "12 to 256 characters"),
        (form(PASSWORD, "aaaaaaaaaaaaaa", "aaaaaaaaaaaaaa"), "5 different characters"),
    ] {
        let reply = desk.post("/account/password", &form).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.contains(told), "{form}: {text}");
        assert!(!text.contains(PASSWORD) && !text.contains(new));
    }
    assert_eq!(service.size().await, from);
    let reply = desk.post("/account/password", &form(PASSWORD, new, new)).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    assert!(desk.is_in().await && !phone.is_in().await);
    let told = recorded(&service, from).await;
    assert_eq!(
        told,
        [("ada".to_owned(), json!({"person": "ada", "change": "password_set"}))],
        "who it was, and nothing of the password"
    );
    let status =
        async |password: &str| sign_in(&service, "ada", password, address(9), LINUX).await.status;
    assert_eq!(status(PASSWORD).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(new).await, StatusCode::SEE_OTHER);
    // Whoever finds a session that was left open guesses no faster than anybody else.
    for _ in 0..6 {
        desk.post("/account/password", &form("not this one", new, new)).await;
    }
    let reply = desk.post("/account/password", &form(new, PASSWORD, PASSWORD)).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn the_administrator_sees_and_ends_sessions_of_others_with_a_reason(
    #[case] database: Database,
) {
    let visitor = Visitor::on(database).await;
    let service = &visitor.service;
    assert!(visitor.page("/people").await.contains("Nobody yet"));
    add(service, "ada").await;
    let [desk, phone] = [
        Browser::of(service, "ada", address(1), LINUX).await,
        Browser::of(service, "ada", address(2), PHONE).await,
    ];
    assert_eq!(desk.get("/people").await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.get("/people/ada").await.status, StatusCode::FORBIDDEN);
    assert!(visitor.page("/people").await.contains("href=\"/people/ada\""));
    assert_eq!(visitor.get("/people/nobody").await.status, StatusCode::NOT_FOUND);
    let page = visitor.page("/people/ada").await;
    let rows: Vec<&str> =
        page.split("<tr>").filter(|row| row.contains("Safari · iPhone")).collect();
    let id = between(rows[0], "name=\"session\" value=\"", "\"");
    let from = service.size().await;
    for form in [format!("session={id}"), format!("session={id}&reason=")] {
        let reply = visitor.post("/people/ada/sessions", &form).await;
        assert!(reply.status.is_client_error(), "without a reason: {reply:?}");
    }
    assert!(phone.is_in().await);
    for nothing in ["", "others", "00000000-0000-0000-0000-000000000000"] {
        visitor.post("/people/ada/sessions", &format!("session={nothing}&reason=r")).await;
    }
    assert!(desk.is_in().await && phone.is_in().await);
    assert_eq!(service.size().await, from, "what ended nothing is no event");
    visitor.post("/people/ada/sessions", &format!("session={id}&reason=lost")).await;
    assert!(desk.is_in().await && !phone.is_in().await);
    visitor.post("/people/ada/sessions", "session=all&reason=leaves").await;
    assert!(!desk.is_in().await);
    let mut one = json!({"person": "ada", "change": "sessions_ended", "reason": "lost"});
    one["session"] = json!(id);
    let all = json!({"person": "ada", "change": "sessions_ended", "reason": "leaves"});
    let administrator = "administrator".to_owned();
    let told = [(administrator.clone(), one), (administrator, all)];
    assert_eq!(recorded(service, from).await, told, "which session, or all of them");
    // The administrator's own page knows no password.
    let page = visitor.page("/account").await;
    assert!(page.contains("Administrator of the server") && !page.contains("id=\"current\""));
}

#[tokio::test]
async fn somebody_who_asks_for_pages_too_fast_waits_and_nobody_else_does() {
    let service = Service::on(Database::Sqlite).await;
    let person_requests = NonZeroU32::new(1).and_then(Rate::new);
    service.app.set_limits(LimitSettings { person_requests, ..LimitSettings::default() });
    for name in ["ada", "bob"] {
        add(&service, name).await;
    }
    let [desk, phone, bob] = [
        Browser::of(&service, "ada", address(1), LINUX).await,
        Browser::of(&service, "ada", address(2), PHONE).await,
        Browser::of(&service, "bob", address(2), PHONE).await,
    ];
    for _ in 0..10 {
        desk.page("/account").await;
    }
    let over = phone.get("/account").await;
    assert_eq!(over.status, StatusCode::TOO_MANY_REQUESTS, "all browsers of somebody are one");
    assert_eq!(over.headers[header::RETRY_AFTER], "1");
    let text = String::from_utf8(over.body.to_vec()).unwrap();
    assert!(text.contains("person_requests"), "{text}");
    bob.page("/account").await;
    service.get("/v1/workspaces").await.ok(200);
    service.wait(2);
    phone.page("/account").await;
}

#[tokio::test]
async fn the_form_for_people_is_there_once_there_are_people() {
    let service = Service::on(Database::Sqlite).await;
    let page = async || {
        let request = Request::get("/sign-in").header(header::HOST, HOST);
        let reply = service.browse(request.body(Body::empty()).unwrap()).await;
        String::from_utf8(reply.body.to_vec()).unwrap()
    };
    let first = page().await;
    assert!(first.contains("id=\"token\"") && !first.contains("id=\"password\""), "{first}");
    add(&service, "ada").await;
    let then = page().await;
    assert!(then.contains("id=\"token\"") && then.contains("id=\"password\""), "{then}");
}

#[tokio::test]
async fn a_person_begins_where_they_may_read_and_else_on_their_own_page() {
    let service = Service::on(Database::Sqlite).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    add(&service, "ada").await;
    let browser = Browser::of(&service, "ada", address(1), LINUX).await;
    let begins = async || {
        let reply = browser.get("/").await;
        reply.headers[header::LOCATION].to_str().unwrap().to_owned()
    };
    let grant = async |workspace: &str, role: &str| {
        let grant = json!({"name": "ada", "role": role, "reason": "r"});
        let path = format!("/v1/workspaces/{workspace}/members");
        service.post_json(&path, &grant).await.ok(200);
    };
    assert_eq!(begins().await, "/account");
    grant("main", "reporter").await;
    assert_eq!(begins().await, "/account");
    grant("other", "viewer").await;
    assert_eq!(begins().await, "/w/other");
    grant("main", "viewer").await;
    assert_eq!(begins().await, "/w/main");
    let page = browser.page("/account").await;
    assert!(page.contains("href=\"/w/other\"") && page.contains("Viewer"), "{page}");
}

//! Who is let in, and what is refused.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, Request, StatusCode, header};
use futures::StreamExt as _;
use rstest::rstest;
use serde_json::json;

use super::{HOST, Visitor, happenings, post};
use crate::service::{Database, Service, TOKEN};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn carries_the_headers(headers: &HeaderMap) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn nobody_sees_a_page_without_a_session_and_every_answer_has_the_headers(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    for path in ["/w/main", "/w/main/runs?text=a%20b", "/w/main/live", "/w/nowhere"] {
        let request = Request::get(path).header(header::HOST, HOST).body(Body::empty()).unwrap();
        let reply = service.browse(request).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{path}");
        let to = reply.headers[header::LOCATION].to_str().unwrap();
        assert!(to.starts_with("/sign-in?next=/w/"), "{to}");
        carries_the_headers(&reply.headers);
        assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store");
        // What a page asks by itself is told so, and is led nowhere.
        let request = Request::get(path).header(header::HOST, HOST).header("hx-request", "true");
        let reply = service.browse(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn the_token_and_a_link_sign_in_and_nothing_else_does() {
    let service = Service::on(Database::Sqlite).await;
    let now = service.app.ledger().now();
    let code = service.app.sessions().code(now).unwrap().0;
    for form in ["token=wrong&next=/", "code=wrong&next=/", "next=/"] {
        let reply = post(&service, "/sign-in", "", form).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{form}");
        assert!(!reply.headers.contains_key(header::SET_COOKIE), "{form}");
    }
    for form in [format!("token={TOKEN}&next=/w/main/runs"), format!("code={code}&next=//evil")] {
        let reply = post(&service, "/sign-in", "", &form).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{form}");
        let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        assert!(!reply.headers[header::LOCATION].to_str().unwrap().contains("evil"));
    }
    let again = post(&service, "/sign-in", "", &format!("code={code}&next=/")).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "a link works once");
    // Opening the link changes nothing: a program that looks at links does not use it up.
    let code = service.app.sessions().code(now).unwrap().0;
    let request = Request::get(format!("/sign-in?code={code}")).header(header::HOST, HOST);
    let reply = service.browse(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::OK);
    let used = post(&service, "/sign-in", "", &format!("code={code}&next=/")).await;
    assert_eq!(used.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_address_that_is_not_encrypted_is_told_so_and_gets_no_session() {
    let service = Service::on(Database::Sqlite).await;
    let request = Request::post("/sign-in")
        .header(header::HOST, "10.0.0.7:7300")
        .header(header::ORIGIN, "http://10.0.0.7:7300")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let form = Body::from(format!("token={TOKEN}&next=/"));
    let reply = service.browse(request.body(form).unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(!reply.headers.contains_key(header::SET_COOKIE));
    assert!(String::from_utf8_lossy(&reply.body).contains("HTTPS"));
}

#[tokio::test]
async fn what_another_site_causes_or_a_form_of_another_session_is_refused() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let path = format!("/w/main/runs/{}/follow-up", crate::service::run(2));
    let form = "action=resolve&reason=fixed&note=&next=/w/main";
    for (site, token) in [("cross-site", visitor.form_token.as_str()), ("same-origin", "0")] {
        let request = Request::post(&path)
            .header(header::HOST, HOST)
            .header(header::COOKIE, &visitor.cookie)
            .header("sec-fetch-site", site)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = Body::from(format!("form_token={token}&{form}"));
        let reply = visitor.service.browse(request.body(body).unwrap()).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{site} {token}");
        carries_the_headers(&reply.headers);
    }
    assert!(visitor.page("/w/main/follow-ups").await.contains("tenant/8"));
}

#[tokio::test]
async fn who_was_idle_for_a_night_or_signs_out_is_out() {
    let visitor = Visitor::on(Database::Sqlite).await;
    visitor.service.wait(7 * 3_600);
    visitor.page("/w/main").await;
    visitor.service.wait(9 * 3_600);
    assert_eq!(visitor.get("/w/main").await.status, StatusCode::SEE_OTHER);
    let visitor = Visitor::of(visitor.service).await;
    let bare = post(
        &visitor.service,
        "/sign-out",
        &visitor.cookie,
        &format!("form_token={}", visitor.form_token),
    )
    .await;
    assert_eq!(bare.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.get("/w/main").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn files_are_kept_for_ever_and_are_what_pages_name() {
    let visitor = Visitor::on(Database::Sqlite).await;
    let page = visitor.page("/w/main").await;
    let mut files = super::each_between(&page, "src=\"/assets/", "\"");
    files.extend(super::each_between(&page, "href=\"/assets/", "\""));
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let path = format!("/assets/{}", file.split('#').next().unwrap());
        let reply = visitor.get(&path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        let kept = reply.headers[header::CACHE_CONTROL].to_str().unwrap();
        assert!(kept.contains("immutable"), "{path}: {kept}");
        carries_the_headers(&reply.headers);
    }
    assert_eq!(visitor.get("/assets/none.css").await.status, StatusCode::NOT_FOUND);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_stream_ends_with_the_session(#[case] database: Database) {
    let visitor = Visitor::of(Service::following(database).await).await;
    let asked = Request::get("/w/main/live").header(header::HOST, HOST);
    let asked = asked.header(header::COOKIE, &visitor.cookie).body(Body::empty()).unwrap();
    let mut told = visitor.service.open(asked).await;
    let next = async |told: &mut BodyDataStream| {
        let next = tokio::time::timeout(Duration::from_secs(60), told.next()).await;
        next.expect("neither a word nor an end came").map(|bytes| bytes.unwrap())
    };
    assert!(next(&mut told).await.is_some(), "where the read models are");
    visitor.service.dispatch(1, json!({"operation": "backup.create"})).await;
    assert!(next(&mut told).await.is_some(), "that they moved");
    visitor.post("/sign-out", "").await;
    visitor.service.dispatch(2, json!({"operation": "backup.create"})).await;
    assert_eq!(next(&mut told).await, None, "told after the session was over");
}

//! What cannot be shown: a person is told so in their language, with a way on; a program is told as
//! everywhere.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use super::{HOST, Visitor, happenings, post};
use crate::service::{Database, Reply};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn ask(visitor: &Visitor, path: &str, accept: &str, language: &str) -> Reply {
    let request = Request::get(path)
        .header(header::HOST, HOST)
        .header(header::COOKIE, &visitor.cookie)
        .header(header::ACCEPT, accept)
        .header(header::ACCEPT_LANGUAGE, language);
    visitor.service.browse(request.body(Body::empty()).unwrap()).await
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_a_page_for_a_person_and_a_problem_for_a_program() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    visitor.page("/w/main").await;
    for (path, status, on) in [
        ("/nope", 404, "/"),
        ("/w/main/nope", 404, "/w/main"),
        ("/w/nowhere/nope", 404, "/w/nowhere"),
        ("/w/main/runs/nope", 404, "/w/main/runs"),
        ("/w/main/runs/0195f3c0-0000-7000-8000-0000000000ff", 404, "/w/main/runs"),
        ("/w/main?environment=nope", 404, "/w/main/environments"),
        ("/w/main/runs?environment=nope", 404, "/w/main/environments"),
        ("/w/main/runs?queue=nope", 404, "/w/main/queues"),
        ("/w/main/queues?queue=nope", 404, "/w/main/queues"),
        ("/w/main/log?run=nope", 404, "/w/main/log"),
        ("/w/main/runs?status=nope", 400, "/w/main/runs"),
        ("/preferences", 405, "/"),
    ] {
        let homes = match path.starts_with("/w/") {
            true => [("en", "All workspaces"), ("de", "Alle Arbeitsbereiche")],
            false => [("en", "To the overview"), ("de", "Zur Übersicht")],
        };
        for (language, home) in homes {
            let reply = ask(&visitor, path, BROWSER, language).await;
            let page = text(&reply);
            assert_eq!(reply.status.as_u16(), status, "{path}: {page}");
            let whole = page.starts_with("<!doctype html>") && page.contains(home);
            assert!(whole, "{path} {language}: {page}");
            assert!(page.contains(&format!("lang=\"{language}\"")), "{path} {language}");
            assert!(page.contains(&format!("href=\"{on}\"")), "{path} {language}: {page}");
            assert!(!page.contains("UUID parsing"), "{path}: {page}");
            assert!(reply.headers.contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
        }
    }
    for path in ["/nope", "/v1/nope", "/w/main/nope"] {
        let accept = if path.starts_with("/v1") { BROWSER } else { "application/json" };
        let reply = ask(&visitor, path, accept, "de").await;
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/problem+json", "{path}");
    }
    // A slash too many leads to the page that is meant.
    let reply = ask(&visitor, "/w/main/?as_of=3", BROWSER, "en").await;
    assert_eq!(reply.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(reply.headers[header::LOCATION], "/w/main?as_of=3");
    let icon = ask(&visitor, "/favicon.ico", "image/*", "en").await;
    assert_eq!((icon.status, &icon.body[..4]), (StatusCode::OK, &[0, 0, 1, 0][..]));
}

#[tokio::test]
async fn a_form_without_its_token_is_refused_as_a_page() {
    let visitor = Visitor::on(Database::Sqlite).await;
    for form in ["language=de", "form_token=0&language=de&next=/"] {
        let request = Request::post("/preferences")
            .header(header::HOST, HOST)
            .header(header::COOKIE, &visitor.cookie)
            .header(header::ACCEPT, BROWSER)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let reply = visitor.service.browse(request.body(Body::from(form)).unwrap()).await;
        assert!(reply.status.is_client_error(), "{form}");
        assert!(text(&reply).starts_with("<!doctype html>"), "{form}: {}", text(&reply));
    }
    let reply = post(&visitor.service, "/preferences", &visitor.cookie, "language=de").await;
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn a_refusal_names_what_it_is_about_and_not_what_to_type() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    visitor.page("/w/main").await;
    for (path, status, named) in [
        ("/w?environment=prod", 400, "environment"),
        ("/w?as_of=7&as_of=8", 400, "as_of"),
        ("/people/nobody", 404, "nobody"),
    ] {
        let reply = ask(&visitor, path, BROWSER, "de").await;
        let page = text(&reply);
        assert_eq!(reply.status.as_u16(), status, "{path}: {page}");
        let card = page.split_once("fault-card").map_or(page.as_str(), |(_, card)| card);
        assert!(card.contains(named), "{path}: {card}");
        assert!(!card.contains("runledger users"), "{path}: {card}");
    }
}

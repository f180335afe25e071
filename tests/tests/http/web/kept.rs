//! What goes along beside an address: a note that was written when a session was over, the list that
//! somebody came from, and on how many runs a word was said.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use super::{HOST, Visitor, along, between, happenings, post, signed_in};
use crate::service::{Database, Service, run};

async fn follower() -> Visitor {
    let visitor = Visitor::of(Service::following(Database::Sqlite).await).await;
    happenings(&visitor.service).await;
    visitor.page("/w/main").await;
    visitor
}

#[tokio::test]
async fn who_must_sign_in_again_comes_back_to_the_form_with_what_they_wrote() {
    let mut visitor = follower().await;
    let path = format!("/w/main/runs/{}", run(2));
    let form = "form_token=old&action=resolve&reason=fixed&note=looked+%3Cat%3E+it&next=/";
    let of_several = "form_token=old&action=resolve&all=true&operation=inventory.sync&runs=1&reason=fixed&note=no";
    for (to, form, page) in [
        (format!("{path}/follow-up"), form, format!("{path}%23actions")),
        (
            "/w/main/follow-ups/resolve".to_owned(),
            of_several,
            "/w/main/follow-ups/resolve%3Faction%3Dresolve%26all%3Dtrue%26operation%3Dinventory.sync".to_owned(),
        ),
    ] {
        let reply = post(&visitor.service, &to, "", form).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
        let location = reply.headers[header::LOCATION].to_str().unwrap().to_owned();
        assert_eq!(location, format!("/sign-in?next={page}"));
        assert!(!location.contains("fixed"), "what was written is in no address: {location}");
        visitor.cookie = signed_in(&visitor.service).await;
        let next = page.replace("%23actions", "").replace("%3F", "?");
        let next = next.replace("%3D", "=").replace("%26", "&");
        let shown = visitor.opened(&next, &along(&reply)).await;
        assert!(shown.contains("name=\"reason\" value=\"fixed\""), "{shown}");
        assert!(shown.contains("role=\"status\"") && shown.contains("is kept"), "{shown}");
        if to.ends_with("follow-up") {
            assert!(shown.contains("value=\"looked &#60;at&#62; it\""), "{shown}");
            assert!(shown.contains("data-live=\"\""), "it is not renewed away: {shown}");
        }
        assert!(!visitor.page(&next).await.contains("value=\"fixed\""), "it was for one page");
    }
}

#[tokio::test]
async fn a_reason_to_end_sessions_is_kept_as_well() {
    let visitor = follower().await;
    super::people::add(&visitor.service, "ada").await;
    let at = super::people::address(9);
    super::people::Browser::of(&visitor.service, "ada", at, "Firefox").await;
    let form = "form_token=old&session=all&reason=lost+the+%3Claptop%3E";
    let reply = post(&visitor.service, "/people/ada/sessions", "", form).await;
    assert_eq!(reply.headers[header::LOCATION], "/sign-in?next=/people/ada");
    let page = visitor.opened("/people/ada", &along(&reply)).await;
    assert!(page.contains("value=\"lost the &#60;laptop&#62;\"") && page.contains("data-kept"));
    assert!(!visitor.page("/people/ada").await.contains("laptop"), "it was for one page");
}

#[tokio::test]
async fn a_choice_says_what_is_to_be_done_and_takes_nothing_that_it_does_not_do() {
    let visitor = follower().await;
    let ask = async |query: &str, language: &str| {
        let request = Request::get(format!("/w/main/follow-ups{query}"))
            .header(header::HOST, HOST)
            .header(header::COOKIE, &visitor.cookie)
            .header(header::ACCEPT_LANGUAGE, language);
        let reply = visitor.service.browse(request.body(Body::empty()).unwrap()).await;
        (reply.status, String::from_utf8(reply.body.to_vec()).unwrap())
    };
    for (query, named) in [
        ("/resolve", "resolve, reopen"),
        ("/resolve?action=close", "close"),
        ("/resolve?action=resolve&colour=red", "colour"),
        ("/resolve?action=resolve&action=reopen", "action"),
        ("/resolve?action=resolve&all=perhaps", "perhaps"),
        ("/resolve?action=resolve&actionability=resolved_by_operator", "actionable"),
        ("/resolve?action=reopen&actionability=actionable", "resolved_by_operator"),
        ("?actionability=informational_only", "superseded_by_later_success"),
        ("?done=7", "done"),
    ] {
        for (language, words) in [("en", "parameter"), ("de", "Parameter")] {
            let (status, page) = ask(query, language).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {page}");
            let card = between(&page, "fault-card", "</section>");
            assert!(card.contains(named) && card.contains(words), "{query} {language}: {card}");
            for programmers in ["unknown field", "variant", "expected", "`"] {
                assert!(!card.contains(programmers), "{query} {language}: {card}");
            }
        }
    }
}

#[tokio::test]
async fn a_word_leads_back_to_the_list_that_it_was_said_on() {
    let visitor = follower().await;
    let list = "/w/main/runs?environment=prod&follow_up=true";
    let page = visitor.page(list).await;
    let back = between(&page, "name=\"back\" value=\"", "\"").replace("&#38;", "&");
    assert_eq!(back, list);
    let back = back.replace('&', "%26");
    let chosen = format!("action=resolve&run={}&back={back}", run(2));
    let shown = visitor.page(&format!("/w/main/follow-ups/resolve?{chosen}")).await;
    assert!(shown.contains(&format!("href=\"{}\"", list.replace('&', "&#38;"))), "{shown}");
    let form = format!("{chosen}&runs=1&reason=accepted&note=");
    let reply = visitor.post("/w/main/follow-ups/resolve", &form).await;
    assert_eq!(reply.headers[header::LOCATION], list);
    let page = visitor.opened(list, &along(&reply)).await;
    assert!(page.contains("class=\"said\"") && page.contains("1\u{a0}run."), "{page}");
    // Another site is no list of this one.
    let elsewhere = "/w/main/follow-ups/resolve?action=reopen&back=https://evil.example";
    assert!(!visitor.page(elsewhere).await.contains("href=\"https://evil"));
}

#[tokio::test]
async fn what_is_refused_keeps_the_frame_where_somebody_is_signed_in() {
    let visitor = follower().await;
    for (path, within) in [
        ("/w/main/runs?status=nope&environment=prod", true),
        ("/w/main/runs?since=2026-01-02&until=2026-01-01", true),
        ("/w/main/log?since=2026-01-02&until=2026-01-01", true),
        ("/w/main/log?before=99999999999999999999", true),
        ("/w/main/nope", true),
        ("/w/nowhere", false),
        ("/people/nobody", false),
        ("/nope", false),
    ] {
        for cookie in [visitor.cookie.as_str(), ""] {
            let request = Request::get(path).header(header::HOST, HOST);
            let request =
                request.header(header::COOKIE, cookie).header(header::ACCEPT, "text/html");
            let reply = visitor.service.browse(request.body(Body::empty()).unwrap()).await;
            let page = String::from_utf8(reply.body.to_vec()).unwrap();
            let framed = page.contains("id=\"activity\"") && page.contains("class=\"as-of\"");
            assert_eq!(framed, !cookie.is_empty(), "{path}: {page}");
            let lists = page.contains("data-go=\"r\"");
            assert_eq!(lists, within && !cookie.is_empty(), "{path}: {page}");
        }
    }
    for path in ["/people", "/account"] {
        let page = visitor.page(path).await;
        assert!(page.contains("id=\"activity\"") && page.contains("action=\"/w\""), "{page}");
    }
}

//! The way back belongs to one browser, one sign-in and ten minutes, and leads to this server alone.

use axum::http::header;
use serde_json::json;

use super::{ADA, Flow, Made, add, browse, callback, query, refused, session};
use crate::service::{Database, Service};

async fn stand() -> (Made, Service) {
    let (made, service) = (Made::start().await, Service::on(Database::Sqlite).await);
    made.believed_by(&service, made.settings());
    add(&service, "ada", ADA).await;
    (made, service)
}

#[tokio::test]
async fn a_way_back_belongs_to_the_browser_that_began_it_and_is_taken_once() {
    let (made, service) = stand().await;
    let (mine, other) = (Flow::begin(&service, "/").await, Flow::begin(&service, "/").await);
    let claims = made.claims(&service, &mine, ADA);
    made.answer_with(&mine, made.sign(&claims));
    let not_begun = |reply: &_| {
        let text = refused(reply, 400);
        assert!(text.contains("begun in another browser"), "{text}");
    };
    // Somebody else's way back, in this browser: nobody is let in as whoever sent them the link.
    not_begun(&other.come_back(&service, &[("code", "c"), ("state", &mine.state)]).await);
    for query in [
        &[("code", "c")][..],
        &[("code", "c"), ("state", "")],
        &[("code", "c"), ("state", "wrong")],
        &[("error", "access_denied"), ("state", "wrong")],
        &[],
    ] {
        not_begun(&mine.come_back(&service, query).await);
    }
    let back = [("code", "c"), ("state", mine.state.as_str())];
    not_begun(&browse(&service, &callback(&back), "", 1).await);
    not_begun(&browse(&service, &callback(&back), "runledger-openid=nonsense", 1).await);
    assert_eq!(made.inner().tokens_asked, 0, "the provider is asked for none of it");
    assert!(session(&mine.come_back(&service, &back).await).is_some());
    not_begun(&mine.come_back(&service, &back).await);
    assert_eq!(made.inner().tokens_asked, 1, "a way back that was used is not used again");
    // The code of one sign-in in the other: the verifier is another one.
    let (one, two) = (Flow::begin(&service, "/").await, Flow::begin(&service, "/").await);
    made.answer_with(&one, made.sign(&made.claims(&service, &two, ADA)));
    let reply = two.come_back(&service, &[("code", "c"), ("state", &two.state)]).await;
    refused(&reply, 401);
}

#[tokio::test]
async fn a_sign_in_that_takes_too_long_begins_again() {
    let (made, service) = stand().await;
    let flow = Flow::begin(&service, "/").await;
    service.wait(600);
    let reply = made.sign_in(&service, &flow, &made.claims(&service, &flow, ADA)).await;
    refused(&reply, 400);
    let flow = Flow::begin(&service, "/").await;
    service.wait(599);
    let reply = made.sign_in(&service, &flow, &made.claims(&service, &flow, ADA)).await;
    assert!(session(&reply).is_some(), "{reply:?}");
}

#[tokio::test]
async fn what_the_provider_refuses_and_who_it_says_that_it_is_are_looked_at() {
    let (made, service) = stand().await;
    let came = async |query: &[(&str, &str)]| {
        let flow = Flow::begin(&service, "/").await;
        made.answer_with(&flow, made.sign(&made.claims(&service, &flow, ADA)));
        let mut query = query.to_vec();
        query.push(("state", &flow.state));
        flow.come_back(&service, &query).await
    };
    let text = refused(&came(&[("error", "access_denied")]).await, 403);
    assert!(text.contains("Work &#38; Co did not let you in"), "{text}");
    refused(&came(&[("error", "temporarily_unavailable")]).await, 503);
    let wrong = "<script>alert(1)</script>";
    let text =
        refused(&came(&[("error", wrong), ("error_description", wrong), ("code", "c")]).await, 401);
    assert!(!text.contains("alert(1)"), "nothing of the query is shown: {text}");
    refused(&came(&[]).await, 401);
    refused(&came(&[("code", "")]).await, 401);
    refused(&came(&[("code", "c"), ("iss", "https://elsewhere.example")]).await, 401);
    assert!(session(&came(&[("code", "c"), ("iss", &made.issuer)]).await).is_some());
    assert!(session(&came(&[("code", "c"), ("session_state", "x")]).await).is_some());
    // One that says that it always names itself must.
    made.inner().metadata = json!({"authorization_response_iss_parameter_supported": true});
    service.wait(3_601);
    refused(&came(&[("code", "c")]).await, 401);
    assert!(session(&came(&[("code", "c"), ("iss", &made.issuer)]).await).is_some());
}

#[tokio::test]
async fn nobody_is_sent_to_another_site_and_the_provider_is_told_what_it_must_know() {
    let (made, service) = stand().await;
    for (next, to) in [
        ("/w/main/runs?q=a b&status=queued", "/"),
        ("/w/main/runs?q=a%20b&status=queued", "/w/main/runs?q=a%20b&status=queued"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\nb", "/"),
    ] {
        let flow = Flow::begin(&service, next).await;
        let reply = made.sign_in(&service, &flow, &made.claims(&service, &flow, ADA)).await;
        assert_eq!(reply.headers[header::LOCATION], to, "{next}");
        assert!(session(&reply).is_some());
    }
    // A browser whose cookie somebody could write is not sent elsewhere either.
    let mut flow = Flow::begin(&service, "/").await;
    let mut parts: Vec<String> = flow.cookie.split('.').map(str::to_owned).collect();
    parts[3] = "Ly9ldmlsLmV4YW1wbGU".to_owned();
    flow.cookie = parts.join(".");
    let reply = made.sign_in(&service, &flow, &made.claims(&service, &flow, ADA)).await;
    assert_eq!(reply.headers[header::LOCATION], "/");
    let asked = query(&flow.url);
    assert!(flow.url.starts_with(&format!("{}/authorize?x=1&", made.issuer)), "{}", flow.url);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "runledger"),
        ("scope", "openid profile"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "http://127.0.0.1:7300/sign-in/openid/callback"),
    ] {
        assert_eq!(asked[name], value);
    }
    assert!(!flow.url.contains("hush"), "the secret goes to the token endpoint alone");
}

#[tokio::test]
async fn whoever_makes_the_server_ask_in_vain_has_to_wait() {
    let (made, service) = stand().await;
    let mut last = None;
    for _ in 0..31 {
        let flow = Flow::begin(&service, "/").await;
        let mut claims = made.claims(&service, &flow, ADA);
        claims["aud"] = json!("another");
        last = Some(made.sign_in(&service, &flow, &claims).await);
    }
    let text = refused(&last.unwrap(), 429);
    assert!(text.contains("wait a few minutes"), "{text}");
    let asked = made.inner().tokens_asked;
    assert_eq!(asked, 30);
    let mut flow = Flow::begin(&service, "/").await;
    flow.at = 2;
    let reply = made.sign_in(&service, &flow, &made.claims(&service, &flow, ADA)).await;
    assert!(session(&reply).is_some(), "whoever is elsewhere does not");
    service.wait(2);
    let flow = Flow::begin(&service, "/").await;
    let reply = made.sign_in(&service, &flow, &made.claims(&service, &flow, ADA)).await;
    assert!(session(&reply).is_some(), "and here it passes");
}

#[tokio::test]
async fn without_a_provider_there_is_no_button_and_no_way() {
    let service = Service::on(Database::Sqlite).await;
    for path in ["/sign-in/openid", "/sign-in/openid/callback?code=c&state=s"] {
        assert_eq!(browse(&service, path, "", 1).await.status, 404, "{path}");
    }
    let page = async || {
        let reply = browse(&service, "/sign-in?next=/w/main", "", 1).await;
        String::from_utf8(reply.body.to_vec()).unwrap()
    };
    assert!(!page().await.contains("/sign-in/openid"));
    let new = json!({"name": "ada", "subject": ADA, "reason": "joins"});
    assert_eq!(service.post_json("/v1/people", &new).await.problem(409), "no_provider");
    let made = Made::start().await;
    made.believed_by(&service, made.settings());
    let text = page().await;
    assert!(text.contains("href=\"/sign-in/openid?next=/w/main\""), "{text}");
    assert!(text.contains("Sign in with Work &#38; Co"), "{text}");
}

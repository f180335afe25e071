//! What is not to be believed, and keys that change.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{ADA, Flow, Made, add, parts, refused, session};
use crate::service::{Database, Service};

#[tokio::test]
async fn a_token_that_is_not_what_it_must_be_signs_nobody_in() {
    let (made, service) = (Made::start().await, Service::on(Database::Sqlite).await);
    made.believed_by(&service, made.settings());
    add(&service, "ada", ADA).await;
    let now = service.clock.now().micros() / 1_000_000;
    let changes: [(&str, Value); 14] = [
        ("iss", json!("https://elsewhere.example")),
        ("iss", json!(format!("{}/", made.issuer))),
        ("aud", json!("another")),
        ("aud", json!(["runledger", "another"])),
        ("azp", json!("another")),
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("exp", json!(now - 61)),
        ("exp", Value::Null),
        ("iat", json!(now + 120)),
        ("nbf", json!(now + 120)),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("x".repeat(256))),
    ];
    for (place, (name, value)) in changes.into_iter().enumerate() {
        let mut flow = Flow::begin(&service, "/").await;
        flow.at = u8::try_from(place).unwrap();
        let mut claims = made.claims(&service, &flow, ADA);
        claims[name] = value.clone();
        let reply = made.sign_in(&service, &flow, &claims).await;
        let text = refused(&reply, 401);
        assert!(text.contains("could not be verified"), "{name} {value}: {text}");
    }
    let flow = Flow::begin(&service, "/").await;
    let claims = made.claims(&service, &flow, ADA);
    let reply = made.sign_in(&service, &flow, &claims).await;
    assert!(session(&reply).is_some(), "the same without a change is believed: {reply:?}");
}

#[tokio::test]
async fn a_signature_of_another_kind_or_of_nobody_signs_nobody_in() {
    let (made, service) = (Made::start().await, Service::on(Database::Sqlite).await);
    made.believed_by(&service, made.settings());
    add(&service, "ada", ADA).await;
    let mut at = 10;
    let mut judged = async |what: &str, change: &dyn Fn(&Made, &Value) -> String| {
        at += 1;
        let mut flow = Flow::begin(&service, "/").await;
        flow.at = at;
        let claims = made.claims(&service, &flow, ADA);
        made.answer_with(&flow, change(&made, &claims));
        let reply = flow.come_back(&service, &[("code", "c"), ("state", &flow.state)]).await;
        let text = refused(&reply, 401);
        assert!(text.contains("could not be verified"), "{what}: {text}");
    };
    for algorithm in ["none", "NONE", "HS256", "RS256", "EdDSA", "ES384"] {
        judged(algorithm, &|made, claims| {
            let signed = made.sign(claims);
            let signature = signed.rsplit_once('.').unwrap().1;
            let header = json!({"alg": algorithm, "kid": "one"});
            format!("{}.{signature}", parts(&header, claims))
        })
        .await;
    }
    judged("no signature", &|_, claims| format!("{}.", parts(&json!({"alg": "none"}), claims)))
        .await;
    judged("changed", &|made, claims| {
        let mut other = claims.clone();
        other["sub"] = json!("another");
        let signed = made.sign(&other);
        let (header, rest) = signed.split_once('.').unwrap();
        let signature = rest.split_once('.').unwrap().1;
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
    })
    .await;
    judged("cut off", &|made, claims| {
        let mut signed = made.sign(claims);
        signed.truncate(signed.len() - 4);
        signed
    })
    .await;
    judged("no token", &|_, _| "nonsense".to_owned()).await;
    judged("a key that is not published", &|made, claims| {
        made.new_key("two", false);
        made.sign(claims)
    })
    .await;
}

#[tokio::test]
async fn a_new_key_is_looked_for_once_and_an_old_one_is_not_taken_for_ever() {
    let (made, service) = (Made::start().await, Service::on(Database::Sqlite).await);
    made.believed_by(&service, made.settings());
    add(&service, "ada", ADA).await;
    let sign_in = async || {
        let flow = Flow::begin(&service, "/").await;
        let claims = made.claims(&service, &flow, ADA);
        made.sign_in(&service, &flow, &claims).await
    };
    let read = || made.inner().keys_read;
    for _ in 0..3 {
        assert!(session(&sign_in().await).is_some());
    }
    assert_eq!(read(), 1, "keys are kept");
    service.wait(61);
    made.new_key("two", true);
    assert!(session(&sign_in().await).is_some(), "a new key is looked for");
    assert_eq!(read(), 2);
    made.new_key("three", false);
    for _ in 0..3 {
        refused(&sign_in().await, 401);
    }
    assert_eq!(read(), 2, "whoever invents keys does not let the provider be asked for each");
    service.wait(61);
    refused(&sign_in().await, 401);
    assert_eq!(read(), 3);
    service.wait(3_601);
    made.new_key("four", true);
    assert!(session(&sign_in().await).is_some());
    assert_eq!(read(), 4, "after an hour they are read again");
}

#[tokio::test]
async fn a_provider_that_is_away_or_makes_no_sense_keeps_nobody_out_who_has_a_password() {
    let (made, service) = (Made::start().await, Service::on(Database::Sqlite).await);
    made.believed_by(&service, made.settings());
    super::super::people::add(&service, "bob").await;
    add(&service, "ada", ADA).await;
    let begin = async || super::browse(&service, "/sign-in/openid", "", 1).await;
    for metadata in [
        json!({"issuer": "https://elsewhere.example"}),
        json!({"token_endpoint": "http://elsewhere.example/token"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"jwks_uri": "https://a:b@elsewhere.example"}),
        json!({"token_endpoint": null}),
    ] {
        made.inner().metadata = metadata.clone();
        let text = refused(&begin().await, 503);
        assert!(text.contains("Work &#38; Co cannot be reached"), "{metadata}: {text}");
        service.wait(31);
    }
    made.inner().metadata = json!({});
    made.inner().gone = true;
    refused(&begin().await, 503);
    made.inner().gone = false;
    refused(&begin().await, 503);
    let at = super::super::people::address(7);
    super::super::people::Browser::of(&service, "bob", at, "x").await;
    service.wait(31);
    let flow = Flow::begin(&service, "/").await;
    let claims = made.claims(&service, &flow, ADA);
    for (status, answer) in [
        (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        (StatusCode::OK, "<html>".to_owned()),
        (StatusCode::OK, "x".repeat(300_000)),
        (StatusCode::FOUND, String::new()),
    ] {
        made.inner().answer = Some((status, answer));
        let flow = Flow::begin(&service, "/").await;
        refused(&made.sign_in(&service, &flow, &claims).await, 503);
    }
    made.inner().answer =
        Some((StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}).to_string()));
    let again = Flow::begin(&service, "/").await;
    refused(&made.sign_in(&service, &again, &claims).await, 503);
    made.inner().answer = None;
    // What it said of itself is still true for a day, if it does not answer that any more.
    service.wait(7_200);
    made.inner().gone = true;
    let flow = Flow::begin(&service, "/").await;
    let claims = made.claims(&service, &flow, ADA);
    service.wait(31);
    assert!(session(&made.sign_in(&service, &flow, &claims).await).is_some());
}

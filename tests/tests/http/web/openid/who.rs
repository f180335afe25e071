//! Who somebody at the provider is here: whom the administrator has named, who has said so themselves,
//! and never whoever has the same name or address.

use axum::http::header;
use rstest::rstest;
use runledger_ledger::access::PersonChange;
use serde_json::json;

use super::super::people::{self, PASSWORD, address};
use super::super::{between, post};
use super::{ADA, Flow, Made, account, add, recorded, refused, session};
use crate::service::{Database, Reply, Service};

async fn sign_in(made: &Made, service: &Service, subject: &str) -> Reply {
    let flow = Flow::begin(service, "/account").await;
    let claims = made.claims(service, &flow, subject);
    made.sign_in(service, &flow, &claims).await
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn somebody_whom_nobody_has_named_is_told_who_they_are_and_then_comes_in(
    #[case] database: Database,
) {
    let (made, service) = (Made::start().await, Service::on(database).await);
    made.believed_by(&service, made.settings());
    let text = refused(&sign_in(&made, &service, ADA).await, 403);
    assert!(text.contains("Work &#38; Co knows you") && text.contains(ADA), "{text}");
    let from = service.size().await;
    add(&service, "ada", ADA).await;
    let reply = sign_in(&made, &service, ADA).await;
    assert_eq!(reply.headers[header::LOCATION], "/account");
    let cookie = session(&reply).unwrap();
    let page = account(&service, &cookie).await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.contains("You sign in there as") && page.contains(ADA), "{page}");
    assert!(!page.contains("id=\"password\""), "there is no password to change: {page}");
    let identity = json!({"issuer": made.issuer, "subject": ADA});
    let data = json!({"person": "ada", "change": PersonChange::Added.as_str(),
        "identity": identity, "reason": "joins"});
    let told = [("administrator".to_owned(), "person.changed".to_owned(), data)];
    assert_eq!(recorded(&service, from).await, told, "signing in is no event");
    let listed = service.get("/v1/people").await.ok(200);
    let ada = &listed["items"][0];
    assert_eq!((&ada["identity"], &ada["state"]), (&identity, &json!("active")));
    assert_eq!(ada["has_password"], false);
    assert_eq!(ada["signed_in_at"], crate::service::START);
    // Nobody guesses a password that there is not.
    let reply = people::sign_in(&service, "ada", PASSWORD, address(9), "x").await;
    assert_eq!(reply.status, 401);
    // The same subject is one person.
    let again = json!({"name": "eve", "subject": ADA, "reason": "r"});
    assert_eq!(service.post_json("/v1/people", &again).await.problem(409), "identity_taken");
    people::add(&service, "eve").await;
    let link = json!({"subject": ADA, "reason": "r"});
    let reply = service.post_json("/v1/people/eve/identity", &link).await;
    assert_eq!(reply.problem(409), "identity_taken");
    for wrong in [json!({"subject": "", "reason": "r"}), json!({"subject": "a\nb", "reason": "r"})]
    {
        service.post_json("/v1/people/eve/identity", &wrong).await.problem(422);
    }
    let nothing = json!({"name": "nil", "reason": "r"});
    service.post_json("/v1/people", &nothing).await.problem(422);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn who_is_disabled_unlinked_or_removed_is_out_at_once_and_stays_out(
    #[case] database: Database,
) {
    let (made, service) = (Made::start().await, Service::on(database).await);
    made.believed_by(&service, made.settings());
    add(&service, "ada", ADA).await;
    let change = async |what: &str| {
        let because = json!({"reason": "for a test"});
        service.post_json(&format!("/v1/people/ada/{what}"), &because).await.ok(200)
    };
    let comes_in = async || session(&sign_in(&made, &service, ADA).await);
    let is_in = async |cookie: &str| account(&service, cookie).await.status == 200;
    let cookie = comes_in().await.unwrap();
    change("disable").await;
    assert!(!is_in(&cookie).await);
    let text = refused(&sign_in(&made, &service, ADA).await, 403);
    assert!(text.contains("cannot sign in here at the moment"), "{text}");
    change("enable").await;
    let cookie = comes_in().await.unwrap();
    let from = service.size().await;
    change("identity/remove").await;
    assert!(!is_in(&cookie).await, "and so do the sessions");
    refused(&sign_in(&made, &service, ADA).await, 403);
    assert_eq!(change("identity/remove").await, json!({}), "once more changes nothing");
    let told = recorded(&service, from).await;
    assert_eq!(told[0].2["change"], "unlinked");
    assert_eq!(told[0].2["identity"]["subject"], ADA);
    let link = async |subject: &str| {
        let link = json!({"subject": subject, "reason": "again"});
        service.post_json("/v1/people/ada/identity", &link).await.ok(200)
    };
    link(ADA).await;
    assert_eq!(link(ADA).await, json!({}));
    let cookie = comes_in().await.unwrap();
    link("another").await;
    assert!(!is_in(&cookie).await, "whoever it was before is somebody else");
    refused(&sign_in(&made, &service, ADA).await, 403);
    link(ADA).await;
    let cookie = comes_in().await.unwrap();
    change("remove").await;
    assert!(!is_in(&cookie).await);
    refused(&sign_in(&made, &service, ADA).await, 403);
    // Another person of the same name is not the same person, and the identity is free again.
    people::add(&service, "ada").await;
    refused(&sign_in(&made, &service, ADA).await, 403);
    add(&service, "ada-2", ADA).await;
    assert!(comes_in().await.is_some());
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn no_name_and_no_address_of_a_token_leads_to_somebody_who_is_here(
    #[case] database: Database,
) {
    let (made, service) = (Made::start().await, Service::on(database).await);
    let mut settings = made.settings();
    settings.provision = true;
    settings.name_claim = "email".to_owned();
    made.believed_by(&service, settings);
    people::add(&service, "ada@example.com").await;
    let comes = async |subject: &str, claims: serde_json::Value| {
        let flow = Flow::begin(&service, "/").await;
        let mut all = made.claims(&service, &flow, subject);
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        made.sign_in(&service, &flow, &all).await
    };
    let from = service.size().await;
    let of_ada = json!({"email": "Ada@Example.com", "email_verified": true,
        "preferred_username": "ada@example.com", "name": "ada@example.com"});
    let text = refused(&comes("mallory", of_ada.clone()).await, 403);
    assert!(text.contains("already has the name") && text.contains("mallory"), "{text}");
    let mut unverified = of_ada.clone();
    unverified["email"] = json!("eve@example.com");
    unverified["email_verified"] = json!(false);
    let text = refused(&comes("eve", unverified.clone()).await, 403);
    assert!(text.contains("tells no name"), "an address that nobody verified is none: {text}");
    unverified["email"] = json!("administrator");
    unverified["email_verified"] = json!(true);
    refused(&comes("eve", unverified).await, 403);
    assert_eq!(service.size().await, from, "nothing came of it");
    let new = json!({"email": "Eve@Example.com", "email_verified": true});
    let reply = comes("eve", new).await;
    assert!(session(&reply).is_some(), "{reply:?}");
    let told = recorded(&service, from).await;
    let data = &told[0].2;
    assert_eq!((told.len(), told[0].0.as_str()), (1, "openid-connect"));
    assert_eq!((&data["person"], &data["change"]), (&json!("eve@example.com"), &json!("added")));
    assert_eq!(data["reason"], "signed in for the first time at Work & Co");
    // Who they are stays, whatever they are called now.
    assert!(session(&comes("eve", of_ada).await).is_some());
    let listed = service.get("/v1/people").await.ok(200);
    let names: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ada@example.com", "eve@example.com"]);
    assert_eq!(listed["items"][0].get("identity"), None);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn somebody_who_is_signed_in_and_knows_their_password_says_who_they_are_there(
    #[case] database: Database,
) {
    let (made, service) = (Made::start().await, Service::on(database).await);
    made.believed_by(&service, made.settings());
    for name in ["ada", "bob"] {
        people::add(&service, name).await;
    }
    let ada = people::Browser::of(&service, "ada", address(1), "x").await;
    let bob = people::Browser::of(&service, "bob", address(1), "x").await;
    let wrong = ada.post("/account/identity", "current=another+of+its+kind").await;
    let text = String::from_utf8(wrong.body.to_vec()).unwrap();
    assert!(wrong.status == 422 && text.contains("The current password is another one"), "{text}");
    let reply = post(&service, "/account/identity", ada.cookie(), "form_token=0&current=x").await;
    assert_eq!(reply.status, 403, "a form of another session");
    let asks = async |browser: &people::Browser<'_>| {
        let form = format!("current={}", PASSWORD.replace(' ', "+"));
        let reply = browser.post("/account/identity", &form).await;
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        let to = between(&text, "class=\"button primary\" href=\"", "\"").replace("&#38;", "&");
        Flow::of(&reply, &to)
    };
    let come = async |flow: &Flow, subject: &str, cookie: &str| {
        let mut flow = flow.clone();
        flow.cookie = format!("{}; {cookie}", flow.cookie);
        let claims = made.claims(&service, &flow, subject);
        made.sign_in(&service, &flow, &claims).await
    };
    let from = service.size().await;
    let flow = asks(&ada).await;
    // In the session of somebody else, and in none, nothing comes of it.
    refused(&come(&flow, ADA, bob.cookie()).await, 400);
    let flow = asks(&ada).await;
    refused(&come(&flow, ADA, "a=b").await, 400);
    // Nor where the password was not given: the id of the session stands on the page.
    let id = between(&ada.page("/account").await, "name=\"session\" value=\"", "\"");
    let mut forged = Flow::begin(&service, "/").await;
    let mut parts: Vec<&str> = forged.cookie.split('.').collect();
    let id = id.replace('-', "");
    parts[2] = &id;
    forged.cookie = parts.join(".");
    refused(&come(&forged, ADA, ada.cookie()).await, 400);
    assert_eq!(service.size().await, from);
    let flow = asks(&ada).await;
    let reply = come(&flow, ADA, ada.cookie()).await;
    assert_eq!(reply.headers[header::LOCATION], "/account?done=linked", "{reply:?}");
    assert!(ada.is_in().await, "who was signed in stays so");
    let identity = json!({"issuer": made.issuer, "subject": ADA});
    let data = json!({"person": "ada", "change": "linked", "identity": identity});
    let told = [("ada".to_owned(), "person.changed".to_owned(), data)];
    assert_eq!(recorded(&service, from).await, told);
    assert!(session(&sign_in(&made, &service, ADA).await).is_some());
    people::Browser::of(&service, "ada", address(1), "x").await;
    // Nobody takes who somebody else is.
    let flow = asks(&bob).await;
    let text = refused(&come(&flow, ADA, bob.cookie()).await, 409);
    assert!(text.contains("somebody else here is"), "{text}");
}

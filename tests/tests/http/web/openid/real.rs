//! The same with a provider that others wrote, in a process of its own and at the time of now.

use axum::http::header;
use rstest::rstest;
use runledger::oidc::Provider;
use runledger::settings::{OidcSettings, RoleRule, Secret};
use runledger_ledger::access::Role;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_tests::glewlwyd::Glewlwyd;
use serde_json::json;

use super::super::HOST;
use super::{Flow, account, add, browse, refused, session};
use crate::service::{Database, Reply, Service};

const CLIENT: &str = "runledger";
const SECRET: &str = "hush";
const PASSWORD: &str = "a horse of another colour";

struct Stand {
    real: Glewlwyd,
    service: Service,
}

impl Stand {
    async fn on(database: Database) -> Self {
        let public = format!("http://{HOST}");
        let callback = format!("{public}/sign-in/openid/callback");
        let real = Glewlwyd::start(CLIENT, SECRET, &callback).await.unwrap();
        real.add("ada", PASSWORD, &["ops", "dev"]).await.unwrap();
        let service = Service::on(database).await;
        // Its tokens are of now.
        service.clock.set(Clock::system().now());
        let mut settings = OidcSettings::of(&real.issuer, CLIENT, &public).unwrap();
        settings.client_secret = Some(Secret::new(SECRET.to_owned()));
        settings.scopes = Vec::new();
        settings.roles = vec![RoleRule {
            group: "ops".to_owned(),
            workspace: "main".parse().unwrap(),
            role: Role::Operator,
            environments: None,
        }];
        service.app.set_provider(Provider::new(settings, Entropy::system()).unwrap());
        Stand { real, service }
    }

    /// Where the provider sends the browser back to.
    async fn back(&self, flow: &Flow) -> String {
        let to = self.real.agree("ada", PASSWORD, CLIENT, &flow.url).await.unwrap();
        let path = to.strip_prefix(&format!("http://{HOST}"));
        path.unwrap_or_else(|| panic!("it sends the browser to {to}")).to_owned()
    }

    async fn come_back(&self, flow: &Flow, path: &str) -> Reply {
        browse(&self.service, path, &flow.cookie, 1).await
    }

    async fn sign_in(&self) -> Reply {
        let flow = Flow::begin(&self.service, "/w/main/runs").await;
        let path = self.back(&flow).await;
        self.come_back(&flow, &path).await
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_person_signs_in_with_a_real_provider_and_has_the_role_of_their_group(
    #[case] database: Database,
) {
    let stand = Stand::on(database).await;
    let service = &stand.service;
    // Nobody knows beforehand what it calls somebody for good; the page tells.
    let text = refused(&stand.sign_in().await, 403);
    let subject = super::super::between(&text, "door-subject\">", "<");
    add(service, "ada", &subject).await;
    let reply = stand.sign_in().await;
    assert_eq!(reply.headers[header::LOCATION], "/w/main/runs", "{reply:?}");
    let cookie = session(&reply).unwrap();
    let page = account(service, &cookie).await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.contains("Operator") && page.contains(&subject), "{page}");
    let members = service.get("/v1/workspaces/main/members").await.ok(200);
    assert_eq!(members["items"][0]["role"], "operator", "{members}");
    // With another key, which is looked for when it is met.
    stand.real.change_key().await.unwrap();
    service.wait(61);
    let reply = stand.sign_in().await;
    assert!(session(&reply).is_some(), "{reply:?}");
}

#[tokio::test]
async fn a_real_provider_takes_no_code_twice_and_none_of_another_sign_in() {
    let stand = Stand::on(Database::Sqlite).await;
    let service = &stand.service;
    let subject =
        super::super::between(&refused(&stand.sign_in().await, 403), "door-subject\">", "<");
    add(service, "ada", &subject).await;
    let (one, two) = (Flow::begin(service, "/").await, Flow::begin(service, "/").await);
    let path = stand.back(&one).await;
    // The code of one with the state of the other: the provider refuses the verifier.
    let mixed = path.replace(&one.state, &two.state);
    refused(&stand.come_back(&two, &mixed).await, 401);
    let flow = Flow::begin(service, "/").await;
    let path = stand.back(&flow).await;
    assert!(path.contains("iss="), "it says who it is: {path}");
    let other = path.replace("iss=http", "iss=https");
    refused(&stand.come_back(&flow, &other).await, 401);
    let flow = Flow::begin(service, "/").await;
    let path = stand.back(&flow).await;
    assert!(session(&stand.come_back(&flow, &path).await).is_some());
    // A server that does not remember that it was used asks, and the provider says no.
    let mut settings =
        OidcSettings::of(&stand.real.issuer, CLIENT, &format!("http://{HOST}")).unwrap();
    settings.client_secret = Some(Secret::new(SECRET.to_owned()));
    let other = Service::on(Database::Sqlite).await;
    other.clock.set(Clock::system().now());
    other.app.set_provider(Provider::new(settings, Entropy::system()).unwrap());
    refused(&browse(&other, &path, &flow.cookie, 1).await, 401);
    let wrong = json!({"name": "eve", "subject": subject, "reason": "r"});
    assert_eq!(service.post_json("/v1/people", &wrong).await.problem(409), "identity_taken");
}

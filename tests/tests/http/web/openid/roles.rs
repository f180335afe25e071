//! Roles that the groups of the provider give, and take.

use rstest::rstest;
use runledger::settings::RoleRule;
use runledger_ledger::access::Role;
use runledger_ledger::words::Name;
use serde_json::{Value, json};

use super::super::people;
use super::{ADA, Flow, Made, add, recorded, session};
use crate::service::{Database, Service};

fn rule(group: &str, workspace: &str, role: Role, environments: &[&str]) -> RoleRule {
    let names = environments.iter().map(|name| Name::new(*name).unwrap()).collect();
    RoleRule {
        group: group.to_owned(),
        workspace: workspace.parse().unwrap(),
        role,
        environments: (!environments.is_empty()).then_some(names),
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn groups_give_and_take_roles_at_each_sign_in_and_leave_what_was_given_by_hand(
    #[case] database: Database,
) {
    let (made, service) = (Made::start().await, Service::on(database).await);
    for name in ["other", "third"] {
        service
            .post_json("/v1/workspaces", &json!({"name": name, "reason": "for a test"}))
            .await
            .ok(201);
    }
    let mut settings = made.settings();
    settings.roles = vec![
        rule("ops", "main", Role::Operator, &[]),
        rule("audit", "main", Role::Auditor, &["prod"]),
        rule("ops", "other", Role::Admin, &[]),
        rule("ops", "third", Role::Viewer, &[]),
        rule("ops", "nowhere", Role::Owner, &[]),
    ];
    made.believed_by(&service, settings);
    add(&service, "ada", ADA).await;
    let by_hand = json!({"name": "ada", "role": "auditor", "reason": "by hand"});
    service.post_json("/v1/workspaces/third/members", &by_hand).await.ok(200);
    let sign_in = async |groups: Value| {
        let flow = Flow::begin(&service, "/").await;
        let mut claims = made.claims(&service, &flow, ADA);
        claims["groups"] = groups;
        assert!(session(&made.sign_in(&service, &flow, &claims).await).is_some());
    };
    let role = async |workspace: &str| {
        let members = service.get(&format!("/v1/workspaces/{workspace}/members")).await.ok(200);
        members["items"].as_array().unwrap().first().map(|one| one["role"].clone())
    };
    let from = service.size().await;
    sign_in(json!(["audit", "ops", "unknown"])).await;
    assert_eq!(role("main").await, Some(json!("operator")), "the first rule that fits");
    assert_eq!(role("other").await, Some(json!("admin")));
    assert_eq!(role("third").await, Some(json!("auditor")), "what a hand gave stays");
    sign_in(json!(["ops", "audit"])).await;
    sign_in(json!("audit")).await;
    assert_eq!(role("main").await, Some(json!("auditor")));
    assert_eq!(role("other").await, None, "no group, no role");
    assert_eq!(role("third").await, Some(json!("auditor")));
    sign_in(Value::Null).await;
    assert_eq!(role("main").await, None);
    let granted = |role: &str, group: &str, more: Value| {
        let mut data = json!({"member": "ada", "kind": "person", "role": role,
            "reason": format!("the provider has them in the group {group}")});
        for (name, value) in more.as_object().unwrap() {
            data[name] = value.clone();
        }
        ("openid-connect".to_owned(), "member.granted".to_owned(), data)
    };
    let removed = json!({"member": "ada", "kind": "person", "previous": "auditor",
        "reason": "the provider has them in no group with a role here"});
    let held = json!({"previous": "operator", "environments": ["prod"]});
    assert_eq!(
        recorded(&service, from).await,
        [
            granted("operator", "ops", json!({})),
            granted("auditor", "audit", held),
            ("openid-connect".to_owned(), "member.removed".to_owned(), removed),
        ]
    );
    // What a hand gives in the place of what groups gave is by hand from then on.
    sign_in(json!(["ops"])).await;
    let by_hand = json!({"name": "ada", "role": "viewer", "reason": "less"});
    service.post_json("/v1/workspaces/main/members", &by_hand).await.ok(200);
    sign_in(json!(["ops"])).await;
    assert_eq!(role("main").await, Some(json!("viewer")));
    sign_in(json!([])).await;
    assert_eq!(role("main").await, Some(json!("viewer")));
}

#[tokio::test]
async fn what_groups_gave_is_kept_by_nobody_who_does_not_come_from_the_provider() {
    let (made, service) = (Made::start().await, Service::on(Database::Sqlite).await);
    let mut settings = made.settings();
    settings.roles = vec![rule("ops", "main", Role::Operator, &[])];
    made.believed_by(&service, settings);
    add(&service, "ada", ADA).await;
    let password = json!({"password": people::PASSWORD, "reason": "as well"});
    service.post_json("/v1/people/ada/password", &password).await.ok(200);
    let sign_in = async || {
        let flow = Flow::begin(&service, "/").await;
        let mut claims = made.claims(&service, &flow, ADA);
        claims["groups"] = json!(["ops"]);
        assert!(session(&made.sign_in(&service, &flow, &claims).await).is_some());
    };
    let members = async || {
        service.get("/v1/workspaces/main/members").await.ok(200)["items"].as_array().unwrap().len()
    };
    sign_in().await;
    assert_eq!(members().await, 1);
    people::Browser::of(&service, "ada", people::address(1), "x").await;
    assert_eq!(members().await, 0, "a password tells of no group");
    sign_in().await;
    assert_eq!(members().await, 1);
    let because = json!({"reason": "left"});
    service.post_json("/v1/people/ada/identity/remove", &because).await.ok(200);
    assert_eq!(members().await, 0, "nor does somebody who is nobody there");
}

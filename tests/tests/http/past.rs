//! What the log alone tells of a moment, and what is of now and says so.

use axum::http::{Request, header};
use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, Service, event, run};

const MAIN: &str = "/v1/workspaces/main";

/// What was answered at a moment that has a name, and what is answered of it afterwards.
struct Asked {
    path: String,
    position: u64,
    then: Value,
}

async fn ask(service: &Service, path: &str) -> Asked {
    let then = service.get(&format!("{MAIN}/{path}")).await.ok(200);
    let position = service.size().await - 1;
    Asked { path: path.to_owned(), position, then }
}

/// Without what the log does not know to the microsecond, or not at all.
fn comparable(mut answer: Value) -> Value {
    let items = match answer.get_mut("items") {
        Some(items) => items.as_array_mut().unwrap().iter_mut().collect(),
        None => vec![&mut answer],
    };
    for item in items {
        let item = item.as_object_mut().unwrap();
        for unknown in ["last_used_at", "running"] {
            item.remove(unknown);
        }
    }
    answer
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn members_tokens_erasures_and_the_catalog_are_answered_as_they_were(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let mut asked = Vec::new();
    let mut look = async |also: Option<String>| {
        for path in ["members", "tokens", "erasures", "catalog"] {
            asked.push(ask(&service, path).await);
        }
        if let Some(also) = also {
            asked.push(ask(&service, &also).await);
        }
        service.wait(60);
    };
    look(None).await;
    let new = json!({"name": "ci", "role": "admin", "days": 1, "reason": "deploys"});
    let made = service.post_json(&format!("{MAIN}/tokens"), &new).await.ok(201);
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    look(None).await;
    let rotate = json!({"overlap_hours": 2, "reason": "every month"});
    service.post_json(&format!("{MAIN}/tokens/{id}/rotate"), &rotate).await.ok(201);
    let grant = json!({"name": "ci", "role": "operator", "reason": "less will do"});
    look(None).await;
    service.dispatch(1, json!({"operation": "restore.execute"})).await;
    service.record(&[event(1, "run.failed", json!({"reason_code": "full"}))]).await;
    let why = json!({"run": run(1), "reason": "asked for", "legal_basis": "a law"});
    let erasure = service.post_json(&format!("{MAIN}/erasures"), &why).await.ok(201);
    let erasure = format!("erasures/{}", erasure["id"].as_str().unwrap());
    look(Some(erasure.clone())).await;
    let approve = Request::builder().method("POST").uri(format!("{MAIN}/{erasure}/approve"));
    let approve = approve.header(header::AUTHORIZATION, format!("Bearer {token}"));
    service.send(approve.body(r#"{"reason": "checked"}"#.into()).unwrap()).await.ok(200);
    look(Some(erasure.clone())).await;
    service.post_json(&format!("{MAIN}/members"), &grant).await.ok(200);
    let text = runledger_ledger::catalog::Catalog::built_in()
        .text()
        .replace("[\"inventory_sync\"]", "[\"x\"]");
    service.post(&format!("{MAIN}/catalog?reason=a%20test"), text.clone()).await.ok(201);
    look(Some(erasure.clone())).await;
    service
        .post_json(&format!("{MAIN}/members/ci/remove"), &json!({"reason": "gone"}))
        .await
        .ok(200);
    look(None).await;
    for Asked { path, position, then } in asked {
        let path = format!("{MAIN}/{path}?as_of={position}");
        let answer = service.get(&path).await.ok(200);
        assert_eq!(comparable(answer), comparable(then), "{path}");
    }
    let last = service.get(&format!("{MAIN}/catalog")).await.ok(200);
    assert_eq!(last["content"], json!(text));
    let first = service.get(&format!("{MAIN}/catalog?as_of=1")).await.ok(200);
    assert_eq!((&first["position"], &first["version"]), (&json!(1), &last["version"]));
    assert_eq!(service.get(&format!("{MAIN}/catalog?as_of=0")).await.problem(404), "no_catalog");
    let none = service.get(&format!("{MAIN}/{erasure}?as_of=1")).await;
    assert_eq!(none.problem(404), "unknown_erasure");
    assert_eq!(
        service.get(&format!("{MAIN}/members?as_of=999")).await.problem(422),
        "as_of_in_future"
    );
}

#[tokio::test]
async fn what_is_of_now_alone_refuses_as_of_and_says_why() {
    let service = Service::on(Database::Sqlite).await;
    let nobody = "0195f3c0-0000-7000-8000-000000000001";
    for (path, why) in [
        ("adapters".to_owned(), "looked at and not recorded"),
        ("audit-packs".to_owned(), "runs?operation=runledger.audit_pack.export"),
        (format!("audit-packs/{nobody}"), "runs?operation=runledger.audit_pack.export"),
        ("simulations".to_owned(), "give `as_of` to the simulation"),
        (format!("simulations/{nobody}"), "give `as_of` to the simulation"),
        ("log/status".to_owned(), "each checkpoint names the events"),
        ("log/checkpoint".to_owned(), "each checkpoint names the events"),
        ("log/consistency".to_owned(), "each checkpoint names the events"),
        ("log/events/0/proof".to_owned(), "each checkpoint names the events"),
        ("correlations".to_owned(), "as a report of now would be"),
    ] {
        let reply = service.get(&format!("{MAIN}/{path}?as_of=1")).await;
        let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.problem(400), "no_as_of", "{path}: {detail}");
        assert!(detail.contains(why), "{path}: {detail}");
    }
}

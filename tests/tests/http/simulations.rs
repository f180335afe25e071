//! Simulations: what another catalog would have changed, asked of a server.

use std::sync::Arc;

use axum::body::Body;
use rstest::rstest;
use runledger::simulations::{Full, Wanted};
use runledger_ledger::catalog::Catalog;
use runledger_projections::AsOf;
use serde_json::{Value, json};

use crate::service::{Database, Reply, Service};

const PATH: &str = "/v1/workspaces/main/simulations";

/// The built-in catalog, in which nothing supersedes by its scope.
fn other() -> String {
    let text = Catalog::built_in().text().to_owned();
    let other = text.replace("supersession = \"scope\"\n", "");
    assert_ne!(text, other);
    other
}

async fn ask(service: &Service, query: &str, catalog: &str) -> Reply {
    let request = Service::request("POST", &format!("{PATH}{query}"));
    let request = request.header("content-type", "application/toml");
    service.send(request.body(Body::from(catalog.to_owned())).unwrap()).await
}

/// The simulation, once it has ended.
async fn ended(service: &Service, id: &str) -> Value {
    for _ in 0..2_000 {
        let one = service.get(&format!("{PATH}/{id}")).await.ok(200);
        if one["state"] != "waiting" && one["state"] != "running" {
            return one;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the simulation {id} did not end within 100 seconds");
}

/// Three syncs that failed, and then one that made them good.
async fn history(service: &Service) {
    let sync = json!({"operation": "inventory.sync"});
    for number in 1..=4 {
        service.dispatch(number, sync.clone()).await;
        match number {
            4 => service.signal(number, "run.succeeded", json!({})).await,
            _ => service.signal(number, "run.failed", json!({"reason_code": "timeout"})).await,
        };
        service.wait(1);
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_over_http_finds_what_the_command_finds(#[case] database: Database) {
    let service = Service::on(database).await;
    history(&service).await;
    let size = service.size().await;
    let last = size - 1;
    let asked = ask(&service, &format!("?as_of={last}&limit=2"), &other()).await.ok(202);
    assert_eq!(asked["state"], "waiting", "{asked}");
    let id = asked["id"].as_str().unwrap();
    let done = ended(&service, id).await;
    assert_eq!((&done["state"], &done["replayed"]), (&json!("done"), &json!(size)), "{done}");
    let catalog = Arc::new(Catalog::parse(&other()).unwrap());
    let projections = service.app.projections();
    let at = AsOf::Position(last);
    let same = projections.simulate(service.main, at, &catalog, 2, &|_, _| {}).await.unwrap();
    assert_eq!(done["result"], serde_json::to_value(&same).unwrap());
    // Of three that differ two are listed, and it is told that there is another one.
    let result = &done["result"];
    assert_eq!((&result["differing"], &result["more"]), (&json!(3), &json!(1)), "{result}");
    assert_eq!(result["differences"].as_array().unwrap().len(), 2);
    assert_eq!(result["by_field"]["actionability"], 3);
    // Nothing of it is in the log.
    assert_eq!(service.size().await, size);
    let list = service.get(PATH).await.ok(200);
    assert_eq!(list["items"][0]["id"], *id);
    assert!(list["items"][0].get("result").is_none(), "{list}");
    let before = ask(&service, "?as_of=3", &other()).await.ok(202);
    let before = ended(&service, before["id"].as_str().unwrap()).await;
    assert_eq!(before["result"]["differing"], 0, "{before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_simulated_is_said_at_once() {
    let service = Service::on(Database::Sqlite).await;
    history(&service).await;
    assert_eq!(ask(&service, "", "no catalog").await.problem(422), "invalid_catalog");
    assert_eq!(ask(&service, "?limit=1001", &other()).await.problem(400), "invalid_query");
    assert_eq!(ask(&service, "?as_of=9999", &other()).await.problem(422), "as_of_in_future");
    assert_eq!(ask(&service, "?as_of=size:3", &other()).await.problem(404), "no_checkpoint");
    let nobody = uuid::Uuid::nil();
    assert_eq!(service.get(&format!("{PATH}/{nobody}")).await.problem(404), "unknown_simulation");
    // Of another workspace there is none either.
    let asked = ask(&service, "", &other()).await.ok(202);
    let id = asked["id"].as_str().unwrap();
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let foreign = format!("/v1/workspaces/other/simulations/{id}");
    assert_eq!(service.get(&foreign).await.problem(404), "unknown_simulation");
    ended(&service, id).await;
}

#[tokio::test]
async fn so_many_may_wait_and_no_more() {
    let service = Service::on(Database::Sqlite).await;
    history(&service).await;
    let catalog = Arc::new(Catalog::parse(&other()).unwrap());
    let simulations = service.app.simulations();
    let ask = |number: u128| {
        let (workspace, catalog) = (service.main, Arc::clone(&catalog));
        let wanted = Wanted { workspace, as_of: AsOf::Now, catalog, limit: 1 };
        simulations.ask(&service.app, uuid::Uuid::from_u128(number), "jane".to_owned(), wanted)
    };
    // On one thread none of them begins before all were asked for.
    let taken: Vec<_> = (1..=4).map(|number| ask(number).unwrap().id.to_string()).collect();
    assert_eq!(ask(5).unwrap_err(), Full);
    for id in &taken {
        assert_eq!(ended(&service, id).await["state"], "done");
    }
    // There is room again, and of those that have ended the last 16 are known, the latest first.
    for number in 6..=20 {
        let id = ask(number).unwrap().id.to_string();
        ended(&service, &id).await;
        service.wait(1);
    }
    let list = service.get(PATH).await.ok(200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 16);
    assert_eq!(items[0]["id"], uuid::Uuid::from_u128(20).to_string());
    assert_eq!(
        service.get(&format!("{PATH}/{}", taken[0])).await.problem(404),
        "unknown_simulation"
    );
    // What was made before an erasure may hold what was erased.
    simulations.forget(service.main, service.app.ledger().now());
    assert!(simulations.list(service.main).is_empty());
}

//! Adapters: how their sources answer, and asking one about a run.

use runledger_adapters::adapter::SourceClass;
use runledger_ledger::words::RunId;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Service};

const STALE: i64 = 700;

async fn waiting(service: &Service, operation: &str) -> RunId {
    let event = json!({"type": "run.dispatched", "data": {"operation": operation}});
    let answer = service.post_json(EVENTS, &event).await.ok(201);
    answer["run_id"].as_str().unwrap().parse().unwrap()
}

async fn listening(service: &Service) {
    let store = service.app.ledger().store();
    store.note_listening(service.clock.now()).await.unwrap();
}

fn about(run: RunId, how: &str) -> String {
    format!("/v1/workspaces/main/runs/{run}/reconciliations{how}")
}

async fn adapter(service: &Service, name: &str) -> Value {
    let found = service.get("/v1/workspaces/main/adapters").await.ok(200);
    let items = found["items"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_decided_and_records_nothing() {
    let service = Service::following(Database::Sqlite).await;
    let run = waiting(&service, "inventory.sync").await;
    service.wait(STALE);
    service.book.done(run, "77");
    let preview = service.post_json(&about(run, "?dry_run=true"), &json!({})).await.ok(200);
    let decision = &preview["would_record"];
    assert_eq!(decision["decision"], "succeeded");
    assert_eq!(decision["related"], json!({"type": "sync", "id": "77"}));
    assert_eq!(decision["evidence"], json!({"sync_id": "77"}));
    assert_eq!(decision["previous"], json!({"status": "queued", "outcome": "pending"}));
    assert_eq!((&preview["status"], &preview["stale"]), (&json!("queued"), &json!(true)));
    assert_eq!(preview["adapters"][0]["reconciliation"], *decision);
    let standing = service.get(&format!("/v1/workspaces/main/runs/{run}")).await.ok(200);
    assert_eq!(standing["recorded"]["status"], "queued");

    // What is recorded then is the same, word for word, wherever it is read.
    listening(&service).await;
    service.post_json(&about(run, ""), &json!({})).await.ok(202);
    service.app.reconciler().look().await.unwrap();
    service.app.projections().catch_up(service.main).await.unwrap();
    let standing = service.get(&format!("/v1/workspaces/main/runs/{run}")).await.ok(200);
    assert_eq!(standing["recorded"]["reconciliation"], *decision);
    assert_eq!(standing["recorded"]["related"], decision["related"]);
    let events = service.get(&format!("/v1/workspaces/main/runs/{run}/events")).await.ok(200);
    let last = events["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["type"], "run.reconciled");
    let mut recorded = last["event"]["data"].clone();
    // The log keeps moments as whole microseconds.
    recorded["evaluated_at"] = decision["evaluated_at"].clone();
    assert_eq!(recorded, *decision);
}

#[tokio::test]
async fn a_source_that_gives_no_answer_is_named_by_its_class_everywhere() {
    let service = Service::following(Database::Sqlite).await;
    let run = waiting(&service, "inventory.sync").await;
    service.wait(STALE);
    service.book.break_as(Some(SourceClass::Timeout));
    let preview = service.post_json(&about(run, "?dry_run=true"), &json!({})).await.ok(200);
    assert_eq!(preview["adapters"][0]["error"], "timeout");
    assert_eq!(preview["would_record"], Value::Null);
    let book = adapter(&service, "book").await;
    assert_eq!((&book["consecutive_failures"], &book["backlog"]), (&json!(0), &json!(0)));

    listening(&service).await;
    service.post_json(&about(run, ""), &json!({})).await.ok(202);
    service.app.reconciler().look().await.unwrap();
    let book = adapter(&service, "book").await;
    assert_eq!(book["last_error"]["class"], "timeout");
    assert_eq!((&book["consecutive_failures"], &book["backlog"]), (&json!(1), &json!(1)));
    let metrics = service.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for line in [
        "runledger_adapter_failures{adapter=\"book\"} 1",
        "runledger_adapter_backlog{adapter=\"book\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing:\n{metrics}");
    }
}

#[tokio::test]
async fn nobody_is_asked_where_nobody_can_say_anything() {
    let service = Service::following(Database::Sqlite).await;
    let unowned = waiting(&service, "backup.create").await;
    let reply = service.post_json(&about(unowned, ""), &json!({})).await;
    assert_eq!(reply.problem(409), "no_adapter");
    let idle = waiting(&service, "restore.execute").await;
    assert_eq!(service.post_json(&about(idle, ""), &json!({})).await.problem(409), "adapter_idle");
    let unknown: RunId = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    for how in ["", "?dry_run=true"] {
        let reply = service.post_json(&about(unknown, how), &json!({})).await;
        assert_eq!(reply.problem(404), "unknown_run");
    }
    let reply = service.post_json(&about(unowned, "?dry=true"), &json!({})).await;
    assert_eq!(reply.problem(400), "invalid_query");
    let done = waiting(&service, "inventory.sync").await;
    let succeeded = json!({"type": "run.succeeded", "run_id": done});
    service.post_json(EVENTS, &succeeded).await.ok(201);
    let reply = service.post_json(&about(done, ""), &json!({})).await;
    assert_eq!(reply.problem(409), "nothing_to_prove");
    let restore = adapter(&service, "restore.execute").await;
    assert!(restore["idle"].as_str().unwrap().contains("domain database"), "{restore}");
    assert_eq!(adapter(&service, "lifecycle").await["operations"], json!(["*"]));
}

#[tokio::test]
async fn a_catalog_that_names_an_adapter_that_is_not_there_is_not_put_into_force() {
    let service = Service::on(Database::Sqlite).await;
    let catalog = include_str!("../../../ledger/catalog.toml");
    let strange = "[operation.\"inventory.sync\"]\nadapter = \"elsewhere\"";
    let catalog = catalog.replace("[operation.\"inventory.sync\"]", strange);
    assert!(catalog.contains("elsewhere"));
    let path = "/v1/workspaces/main/catalog?reason=ours";
    let reply = service.post(path, catalog).await;
    assert_eq!(reply.problem(422), "adapters_do_not_fit");
    let detail = reply.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("elsewhere for inventory.sync"), "{detail}");
}

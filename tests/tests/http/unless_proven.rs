//! Dispatches that ask first whether their work is there already.

use rstest::rstest;
use runledger_adapters::adapter::SourceClass;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Service, run};

/// A dispatch of work that the book may know, in `prod`.
fn dispatch(changes: Value) -> Value {
    let mut data = json!({"operation": "inventory.sync", "environment": "prod",
        "fingerprint": "f1", "unless_proven": true});
    for (member, value) in changes.as_object().unwrap() {
        data[member] = value.clone();
    }
    json!({"type": "run.dispatched", "data": data})
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn work_that_is_there_makes_no_run_and_is_shown(#[case] database: Database) {
    let service = Service::on(database).await;
    service.book.has("prod", "f1", "41");
    let reply = service.post_json(EVENTS, &dispatch(json!({}))).await.ok(200);
    let proven = json!({"index": 0, "status": "already_proven", "adapter": "book",
        "related": {"type": "sync", "id": "41"}});
    assert_eq!(reply, proven);
    assert_eq!(service.size().await, 2);
    // What was not asked about is done again, and proof counts in its own scope alone.
    let list = json!([
        dispatch(json!({"operation": "inventory_sync"})),
        dispatch(json!({"unless_proven": false})),
        dispatch(json!({"environment": "test"})),
        dispatch(json!({"environment": null})),
        dispatch(json!({"fingerprint": "f2"})),
        // Nobody can prove anything of it.
        dispatch(json!({"operation": "policy.sync"})),
    ]);
    let reply = service.post_json(EVENTS, &list).await.ok(200);
    let statuses: Vec<&Value> =
        reply["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses[0], "already_proven");
    assert!(statuses[1..].iter().all(|status| **status == "recorded"), "{reply}");
    assert_eq!(reply["summary"]["already_proven"], 1);
    assert_eq!(service.book.gathered(), 2, "a request is one question");
}

#[tokio::test]
async fn a_source_that_is_broken_keeps_no_work_from_being_done() {
    let service = Service::on(Database::Sqlite).await;
    service.book.has("prod", "f1", "41");
    service.book.break_as(Some(SourceClass::Unavailable));
    let reply = service.post_json(EVENTS, &dispatch(json!({}))).await.ok(201);
    assert_eq!(reply["event_type"], "run.dispatched");
    // An adapter that is not set up is asked in vain.
    let compose = dispatch(json!({"operation": "environment.review.compose"}));
    service.post_json(EVENTS, &compose).await.ok(201);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn two_triggers_at_the_same_moment_make_one_run(#[case] database: Database) {
    let service = Service::on(database).await;
    let by_subject = json!({"fingerprint": null, "subject": {"type": "site", "id": "1"}});
    for changes in [json!({}), by_subject] {
        let before = service.size().await;
        let event = dispatch(changes);
        let (one, two) =
            tokio::join!(service.post_json(EVENTS, &event), service.post_json(EVENTS, &event));
        let (one, two) = (one.json(), two.json());
        let mut statuses = [one["status"].as_str().unwrap(), two["status"].as_str().unwrap()];
        statuses.sort_unstable();
        assert_eq!(statuses, ["existing", "recorded"]);
        assert_eq!(one["run_id"], two["run_id"]);
        assert_eq!(service.size().await, before + 1);
    }
}

/// A second trigger comes while the run of the first one is active, and asks the book, which takes
/// its time. `meanwhile` happens in that time.
async fn second_trigger(service: &Service, meanwhile: impl AsyncFnOnce(&Service, &Value)) -> Value {
    let first = service.post_json(EVENTS, &dispatch(json!({}))).await.ok(201);
    service.book.hang_after(Some(0));
    let event = dispatch(json!({}));
    let answered = service.post_json(EVENTS, &event);
    let happens = async {
        service.book.hangs().await;
        meanwhile(service, &first["run_id"]).await;
        service.book.hang_after(None);
    };
    let (reply, ()) = tokio::join!(answered, happens);
    let reply = reply.ok(200);
    assert!(reply["run_id"].is_null() || reply["run_id"] == first["run_id"], "{reply}");
    reply
}

async fn succeed(service: &Service, run: &Value) {
    let end = json!({"type": "run.succeeded", "run_id": run});
    service.post_json(EVENTS, &end).await.ok(201);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn work_that_is_done_while_it_is_asked_about_is_not_done_again(#[case] database: Database) {
    let service = Service::on(database).await;
    let reply = second_trigger(&service, async |service, run| {
        succeed(service, run).await;
        service.book.has("prod", "f1", "41");
        // The answer that is on its way proves nothing, and the key is free by now. But it was held
        // when the book was asked, so the book is asked again.
        service.book.break_as(Some(SourceClass::Unavailable));
        service.book.hang_after(Some(0));
        service.book.hangs().await;
        service.book.break_as(None);
    })
    .await;
    assert_eq!(reply["status"], "already_proven", "{reply}");
    assert_eq!(reply["related"]["id"], "41");
}

#[tokio::test]
async fn work_that_is_still_being_done_is_waited_for() {
    let service = Service::on(Database::Sqlite).await;
    let reply = second_trigger(&service, async |_, _| {}).await;
    assert_eq!((&reply["status"], &reply["existing"]), (&json!("existing"), &json!(true)));
}

#[tokio::test]
async fn what_is_recorded_is_its_own_duplicate_whatever_is_proven_by_now() {
    let service = Service::on(Database::Sqlite).await;
    let mut known = dispatch(json!({}));
    known["id"] = json!("e1");
    let mut named = dispatch(json!({"fingerprint": "f2"}));
    named["run_id"] = json!(run(1));
    let made = service.post_json(EVENTS, &known).await.ok(201);
    service.post_json(EVENTS, &named).await.ok(201);
    for fingerprint in ["f1", "f2"] {
        service.book.has("prod", fingerprint, "41");
    }
    let again = service.post_json(EVENTS, &known).await.ok(200);
    assert_eq!((&again["status"], &again["position"]), (&json!("duplicate"), &made["position"]));
    let again = service.post_json(EVENTS, &named).await.ok(200);
    assert_eq!(again["status"], "duplicate");
    // What was answered so is not remembered: the work may have to be done another time.
    let mut another = dispatch(json!({}));
    another["id"] = json!("e2");
    let reply = service.post_json(EVENTS, &another).await.ok(200);
    assert_eq!(reply["status"], "already_proven");
    let mut elsewhere = dispatch(json!({"environment": "test"}));
    elsewhere["id"] = json!("e2");
    service.post_json(EVENTS, &elsewhere).await.ok(201);
}

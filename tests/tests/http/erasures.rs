//! Erasures over HTTP: two people, and nothing of what was said is left anywhere.

use axum::body::Body;
use axum::http::{Request, header};
use rstest::rstest;
use runledger::pack::{self, Order, Scope, recompute};
use runledger_ledger::erasure;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::words::RunId;
use runledger_proof::merkle::Hash;
use runledger_proof::pack::verify;
use runledger_proof::receipt::Receipt;
use runledger_proof::zip;
use runledger_tests::database::create_role;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use uuid::Uuid;

use crate::evidence::Signed;
use crate::service::{Database, Reply, Service, event, run};

const ERASURES: &str = "/v1/workspaces/main/erasures";
const SECRET: &str = "anna.secret@example.test";

/// A token of somebody else who may erase.
async fn other(service: &Service) -> String {
    let new = json!({"name": "bert", "role": "admin", "reason": "for a test"});
    let made = service.post_json("/v1/workspaces/main/tokens", &new).await.ok(201);
    made["token"].as_str().unwrap().to_owned()
}

async fn post_as(service: &Service, token: &str, path: &str, body: &Value) -> Reply {
    let request = Request::builder().method("POST").uri(path);
    let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    service.send(request.body(Body::from(body.to_string())).unwrap()).await
}

/// Two runs that say the secret wherever something can be said; the second makes the first good.
async fn told(service: &Service) {
    let dispatched = json!({
        "operation": "inventory.sync", "environment": "prod",
        "subject": {"type": "tenant", "id": "7"},
        "queue": "slow", "initiator": SECRET, "labels": {"who": SECRET},
        "external_ids": [{"source": "queue", "kind": "job", "id": SECRET}],
    });
    let failed = json!({"reason_code": "disk_full", "message": format!("{SECRET} has no room")});
    let succeeded = json!({"summary": {"mail": SECRET}});
    service
        .record(&[
            event(1, "run.dispatched", dispatched.clone()),
            event(1, "run.failed", failed.clone()),
        ])
        .await;
    service.wait(60);
    let mut second = dispatched;
    second["external_ids"][0]["id"] = json!(format!("{SECRET}/2"));
    service
        .record(&[event(2, "run.dispatched", second), event(2, "run.succeeded", succeeded)])
        .await;
    service.wait(60);
    let third = json!({"operation": "restore.execute", "environment": "prod"});
    service.record(&[event(3, "run.dispatched", third), event(3, "run.failed", failed)]).await;
}

/// What is true of every run, without what was said of it.
async fn verdicts(service: &Service) -> Vec<Value> {
    let runs = service.read("runs").await;
    let runs = runs["items"].as_array().unwrap().iter();
    let verdict = |run: &Value| {
        let (recorded, now) = (&run["recorded"], &run["now"]);
        json!({
            "run": run["run_id"],
            "status": recorded["status"], "outcome": recorded["outcome"],
            "operation": recorded["operation"], "subject": recorded["subject"],
            "dispatched_at": recorded["dispatched_at"],
            "freshness": now["freshness"], "actionability": now["actionability"]["status"],
            "superseded_by": now["actionability"]["superseded_by"],
        })
    };
    runs.map(verdict).collect()
}

/// Carries an erasure out, on PostgreSQL with somebody who may.
async fn carry_out(service: &Service, id: &str) -> Value {
    let path = format!("{ERASURES}/{id}");
    for _ in 0..2 {
        service.post(&format!("{path}/run"), Body::empty()).await.ok(202);
        let view = until_it_stops(service, &path).await;
        if view["problem"] != "erased_elsewhere" {
            return view;
        }
        let pool = service.app.ledger().store().postgres().unwrap();
        let detail = view["detail"].as_str().unwrap();
        assert!(detail.contains("--eraser-url"), "{detail}");
        let mut admin = runledger_tests::superuser_of(pool).await;
        let url = {
            let database = pool.connect_options().get_database().unwrap_or_default().to_owned();
            runledger_tests::database::superuser(&format!("postgres://u@h/{database}"))
        };
        let role = create_role(&url).await.unwrap();
        let grant = AssertSqlSafe(format!("GRANT runledger_eraser TO {}", role.name));
        admin.execute(sqlx::raw_sql(grant)).await.unwrap();
        let eraser = Store::open(&StoreUrl::Postgres(role.url)).await.unwrap();
        let (main, id) = (service.main, id.parse::<Uuid>().unwrap());
        let ordered = erasure::load(&eraser, main, id).await.unwrap();
        erasure::empty(&eraser, main, &ordered).await.unwrap();
        eraser.close().await;
    }
    panic!("somebody who may has erased, and the server says that nobody has");
}

async fn until_it_stops(service: &Service, path: &str) -> Value {
    loop {
        let view = service.get(path).await.ok(200);
        if view["running"] == false {
            return view;
        }
        tokio::task::yield_now().await;
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_was_said_is_gone_everywhere_and_every_verdict_and_proof_stays(
    #[case] database: Database,
) {
    let signed = Signed::on(database).await;
    let service = &signed.service;
    told(service).await;
    signed.sign().await;
    let before = verdicts(service).await;
    assert!(
        before.iter().any(|run| run["actionability"] == "superseded_by_later_success"),
        "{before:?}"
    );
    let size = service.size().await;
    let past = format!("runs?as_of=size:{size}");
    assert!(service.read(&past).await.to_string().contains(SECRET));
    let proof = signed.get("events/2/proof").await.body;
    let leaf = signed.get("tile/0/000.p/8").await.body;
    assert!(service.read(&format!("runs?text={SECRET}")).await["items"][0].is_object());

    let token = other(service).await;
    let ask = json!({
        "positions": (2..size).collect::<Vec<_>>(), "reason": "she asked for it",
        "legal_basis": "GDPR Art. 17(1)(b)",
    });
    let asked = service.post_json(ERASURES, &ask).await.ok(201);
    let id = asked["id"].as_str().unwrap();
    let path = format!("{ERASURES}/{id}");
    assert_eq!((&asked["state"], &asked["events"]), (&json!("requested"), &json!(size - 2)));
    let early = service.post(&format!("{path}/run"), Body::empty()).await;
    assert_eq!(early.problem(409), "not_approved");
    let alone = service.post_json(&format!("{path}/approve"), &json!({"reason": "checked"})).await;
    assert_eq!(alone.problem(409), "same_person");
    let (approve, note) = (format!("{path}/approve"), json!({"reason": "checked with legal"}));
    let approved = post_as(service, &token, &approve, &note).await.ok(200);
    assert_eq!(approved["state"], "approved");

    let done = carry_out(service, id).await;
    assert_eq!(done["state"], "completed", "{done}");
    assert_eq!(done["bodies"], size - 2);
    assert!(done.get("problem").is_none(), "{done}");

    // Nothing that anybody may ask for holds it.
    assert_eq!(verdicts(service).await, before);
    for path in [
        "log".to_owned(),
        "runs".to_owned(),
        "follow-ups".to_owned(),
        "overview".to_owned(),
        past.clone(),
        format!("runs/{}", run(1)),
        format!("runs/{}/events", run(1)),
        format!("runs/{}/timeline", run(1)),
        "log/tile/entries/000.p/8".to_owned(),
        "log/events/2/proof".to_owned(),
    ] {
        service.app.projections().catch_up(service.main).await.unwrap();
        let reply = service.get(&format!("/v1/workspaces/main/{path}")).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(!String::from_utf8_lossy(&reply.body).contains(SECRET), "{path}");
    }
    assert_eq!(service.read(&format!("runs?text={SECRET}")).await["items"], json!([]));
    let known = format!("correlations?source=queue&kind=job&id={SECRET}&environment=prod");
    let known = service.get(&format!("/v1/workspaces/main/{known}")).await;
    assert!(!String::from_utf8_lossy(&known.body).contains(&run(1)), "{known:?}");
    // Reads show the tombstone.
    let events = service.read(&format!("runs/{}/events", run(1))).await;
    assert!(events.to_string().contains(&format!(r#""erasure":"{id}""#)), "{events}");

    // Every proof that somebody kept still holds, and new ones name the hash.
    assert_eq!(signed.get("tile/0/000.p/8").await.body, leaf);
    let hash = Hash::try_from(&leaf[64..96]).unwrap();
    let kept = Receipt::parse(&proof).unwrap();
    assert_eq!(kept.leads_to(&hash).unwrap().size, 8);
    let new = Receipt::parse(&signed.get("events/2/proof").await.body).unwrap();
    assert_eq!(new.extra.as_deref(), Some(&hash[..]));
    new.leads_to(&hash).unwrap();
    let models = service.app.projections().verify(service.main, &|_| {}).await.unwrap();
    assert!(models.is_intact(), "{:?}", models.differences);
    assert_eq!(models.erased.len() as u64, size - 2);
    // And packs hold tombstones, whole or in part, and are derived again from them.
    signed.sign().await;
    let of_run = RunId(run(1).parse().unwrap());
    for scope in [Scope::default(), Scope { run: Some(of_run), ..Scope::default() }] {
        let whole = scope.run.is_none();
        let order = Order {
            workspace: service.main,
            name: "main".to_owned(),
            requester: "jane".to_owned(),
            size: None,
            scope,
            witnesses: None,
        };
        let mut bytes = Vec::new();
        let store = service.app.ledger().store();
        pack::export(store, &signed.keys, &order, &mut bytes).await.unwrap();
        let verified = verify(&bytes, &signed.policy()).unwrap();
        assert_eq!(verified.differences, Vec::<String>::new());
        let words = verified.erased.in_words().unwrap();
        assert_eq!(words, if whole { "2 to 7" } else { "2 to 3" });
        assert_eq!(recompute(&bytes).await.unwrap().differences, Vec::<String>::new());
        for (name, file) in zip::read(&bytes).unwrap() {
            assert!(!String::from_utf8_lossy(file).contains(SECRET), "{name}");
        }
    }
    let listed = service.get(ERASURES).await.ok(200);
    assert_eq!(listed["items"][0]["approved_by"], "token bert");
    // It is done, and asking for it again changes nothing.
    let again = service.post(&format!("{path}/run"), Body::empty()).await.ok(202);
    assert_eq!(again["state"], "completed");
}

#[tokio::test]
async fn a_tombstone_that_nobody_ordered_is_no_intact_pack() {
    let signed = Signed::on(Database::Sqlite).await;
    told(&signed.service).await;
    signed.sign().await;
    let store = signed.service.app.ledger().store();
    let body = store.log(signed.service.main, 4, 5, 1).await.unwrap().remove(0).body;
    let forged = erasure::tombstone(&body, Uuid::nil(), 1, false).unwrap();
    let (writer, _) = store.sqlite().unwrap();
    writer.execute("DROP TRIGGER events_no_update").await.unwrap();
    let put = sqlx::query("UPDATE events SET body = $1 WHERE position = 4").bind(forged);
    put.execute(writer).await.unwrap();
    for scope in
        [Scope::default(), Scope { run: Some(RunId(run(2).parse().unwrap())), ..Scope::default() }]
    {
        let order = Order {
            workspace: signed.service.main,
            name: "main".to_owned(),
            requester: "jane".to_owned(),
            size: None,
            scope,
            witnesses: None,
        };
        let mut bytes = Vec::new();
        pack::export(store, &signed.keys, &order, &mut bytes).await.unwrap();
        let verified = verify(&bytes, &signed.policy()).unwrap();
        let said = &verified.differences;
        assert!(said.iter().any(|said| said.contains("position 4 was replaced")), "{said:?}");
        assert_eq!(verified.erased.in_words(), None);
    }
}

#[tokio::test]
async fn a_request_names_one_thing_that_is_there_and_may_go() {
    let service = Service::on(Database::Sqlite).await;
    told(&service).await;
    let tenant = json!({"operation": "inventory.sync", "subject": {"type": "tenant", "id": "9"}});
    service.dispatch(9, tenant).await;
    let size = service.size().await;
    let why = |mut ask: Value| {
        ask["reason"] = json!("she asked");
        ask["legal_basis"] = json!("GDPR Art. 17");
        ask
    };
    for (ask, status, code) in [
        (why(json!({})), 422, "invalid_body"),
        (why(json!({"run": run(1), "positions": [3]})), 422, "invalid_body"),
        (why(json!({"subject": "anna"})), 422, "invalid_body"),
        (why(json!({"positions": []})), 422, "nothing_named"),
        (why(json!({"positions": [0]})), 422, "never_erased"),
        (why(json!({"positions": [999]})), 404, "unknown_event"),
        (why(json!({"run": run(77)})), 404, "unknown_run"),
        (why(json!({"subject": "tenant/none"})), 404, "unknown_subject"),
        (why(json!({"run": run(9)})), 409, "run_active"),
        (why(json!({"subject": "tenant/9"})), 409, "run_active"),
        (json!({"run": run(1), "reason": "x"}), 422, "invalid_body"),
    ] {
        assert_eq!(service.post_json(ERASURES, &ask).await.problem(status), code, "{ask}");
    }
    let unknown = service.get(&format!("{ERASURES}/{}", run(1))).await;
    assert_eq!(unknown.problem(404), "unknown_erasure");
    assert_eq!(service.size().await, size);
    let asked = service.post_json(ERASURES, &why(json!({"subject": "tenant/7"}))).await.ok(201);
    assert_eq!(asked["streams"].as_array().unwrap().len(), 2);
    let log = service.get(&format!("/v1/workspaces/main/log?from={size}")).await;
    let log = String::from_utf8_lossy(&log.body).into_owned();
    assert!(log.contains("erasure.requested") && !log.contains("tenant"), "{log}");
}

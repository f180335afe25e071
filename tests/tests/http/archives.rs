//! Archived bodies over HTTP: read from the directory where it is there, and named where it is not.

use axum::body::Body;
use axum::http::{Request, header};
use rstest::rstest;
use runledger_ledger::archive::{self, Order, Until};
use runledger_ledger::event::Actor;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::words::{Name, Note};
use runledger_projections::ProjectionError;
use runledger_tests::database::{create_role, superuser};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::evidence::Signed;
use crate::service::{Database, EVENTS, Service, event, run};

/// Somebody who may change bodies: on PostgreSQL not the service.
async fn eraser(service: &Service) -> Store {
    let store = service.app.ledger().store();
    let Some(pool) = store.postgres() else { return store.clone() };
    let mut admin = runledger_tests::superuser_of(pool).await;
    let database = pool.connect_options().get_database().unwrap_or_default().to_owned();
    let role = create_role(&superuser(&format!("postgres://u@h/{database}"))).await.unwrap();
    let grant = AssertSqlSafe(format!("GRANT runledger_eraser TO {}", role.name));
    admin.execute(sqlx::raw_sql(grant)).await.unwrap();
    Store::open(&StoreUrl::Postgres(role.url)).await.unwrap()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn archived_events_are_read_where_they_are_or_named(#[case] database: Database) {
    let signed = Signed::on(database).await;
    let service = &signed.service;
    let dispatched = json!({"operation": "inventory.sync", "environment": "prod"});
    let failed = json!({"reason_code": "disk_full"});
    service.record(&[event(1, "run.dispatched", dispatched), event(1, "run.failed", failed)]).await;
    let others = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    for number in 0..260 {
        let mut reports = vec![others.clone(), others.clone()];
        let id = uuid::Uuid::from_u128(0x0195_f3c1_0000_7000_8000_0000_0000_0000 + number);
        for (report, kind) in reports.iter_mut().zip(["run.dispatched", "run.cancelled"]) {
            report["run_id"] = json!(id);
            report["type"] = json!(kind);
        }
        reports[1]["data"] = json!({});
        service.post_json(EVENTS, &Value::from(reports)).await.ok(200);
    }
    signed.sign().await;
    let (whole, run_before) = (entries(&signed).await, service.read("runs").await);
    let past = service.read("runs?as_of=40").await;

    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("first");
    let (ledger, main) = (service.app.ledger(), service.main);
    let (until, tool) = (Until::Through(255), "a test");
    let order = Order { workspace: main, name: "main", until, directory: &place, policy: "", tool };
    archive::export(ledger.store(), &order, &|_, _| {}).await.unwrap();
    let ada = Actor { id: Name::new("ada").unwrap(), kind: Name::new("user").unwrap() };
    let why = Note::new("a test").unwrap();
    let ordered = archive::order(ledger, main, &place, why.clone(), &ada).await.unwrap();
    let may = eraser(service).await;
    let stores = (ledger.store(), &may);
    archive::drop_bodies(stores, main, &ordered, &place, &|_, _| {}).await.unwrap();
    archive::complete(ledger, main, &ordered, &ada).await.unwrap();

    let status = signed.get("status").await.ok(200);
    assert_eq!(
        (&status["bodies"]["archived"], &status["bodies"]["restored"]),
        (&json!(1), &json!(0))
    );
    let before = signed.get("status?as_of=40").await.ok(200);
    assert_eq!(before["bodies"], json!({"erasures": 0, "archived": 0, "restored": 0}));

    // The directory is not there.
    let away = directory.path().join("away");
    std::fs::rename(&place, &away).unwrap();
    let gone = signed.get("tile/entries/000").await;
    assert_eq!(gone.problem(410), "archived");
    let gone = gone.json();
    assert_eq!(gone["archive"], json!(ordered.id));
    assert_eq!(gone["place"], json!(ordered.ordered.place));
    assert_eq!(gone["digest"], json!(ordered.ordered.digest));
    assert_eq!(signed.get("tile/0/000").await.status, 200);
    assert_eq!(signed.get("events/2/proof").await.status, 200, "its hash is there");
    assert_eq!(service.get("/v1/workspaces/main/runs?as_of=41").await.problem(410), "archived");
    let timeline = format!("/v1/workspaces/main/runs/{}/timeline", run(1));
    assert_eq!(service.get(&timeline).await.problem(410), "archived");
    assert_eq!(
        same(&service.read("runs").await),
        same(&run_before),
        "what is true is read as ever"
    );
    let events = service.read(&format!("runs/{}/events", run(1))).await;
    let first = &events["items"][0];
    assert_eq!((&first["type"], &first["position"]), (&json!("run.dispatched"), &json!(2)));
    assert!(first.get("event").is_none() && first.get("occurred_at").is_none(), "{first}");
    assert_eq!(first["archived"]["readable"], false);
    assert_eq!(first["archived"]["digest"], json!(ordered.ordered.digest));
    let log = service.get("/v1/workspaces/main/log?from=2&limit=1").await;
    let line: Value = serde_json::from_slice(&log.body).unwrap();
    assert!(line["event"].is_null() && line["archived"]["place"] == first["archived"]["place"]);
    let rebuilt = service.app.projections().rebuild(main, &|_| {}).await;
    assert!(matches!(rebuilt, Err(ProjectionError::Store(_))), "{rebuilt:?}");
    let verified = service.app.projections().verify(main, &|_| {}).await.unwrap();
    assert!(verified.is_intact() && verified.rows.is_none(), "{:?}", verified.differences);
    assert!(verified.not_compared.is_some() && verified.archived[0].verified == 0);
    for path in [format!("/w/main/runs/{}", run(1)), "/w/main/log?before=6".to_owned()] {
        let page = browse(service, &path).await;
        assert!(page.contains(ordered.ordered.place.as_str()), "{path}: {page}");
        assert!(page.contains("not readable"), "{path}");
        assert!(!page.contains("id=\"life-title\""), "{path}: a life of which nothing is known");
    }

    // It is there again.
    std::fs::rename(&away, &place).unwrap();
    assert_eq!(entries(&signed).await[..256], whole[..256]);
    assert_eq!(signed.get("events/2/proof").await.status, 200);
    let again = service.read("runs?as_of=40").await;
    assert_eq!(again["items"], past["items"]);
    service.get(&timeline).await.ok(200);
    let events = service.read(&format!("runs/{}/events", run(1))).await;
    assert_eq!(events["items"][0]["event"]["data"]["operation"], "inventory.sync");
    assert_eq!(events["items"][0]["archived"]["readable"], true);
    let log = service.get("/v1/workspaces/main/log?from=2&limit=1").await;
    let line: Value = serde_json::from_slice(&log.body).unwrap();
    assert_eq!(line["event"]["data"]["operation"], "inventory.sync");
    service.app.projections().rebuild(main, &|_| {}).await.unwrap();
    assert_eq!(same(&service.read("runs").await), same(&run_before), "rebuilt from the archive");
    let verified = service.app.projections().verify(main, &|_| {}).await.unwrap();
    assert!(verified.is_intact() && verified.rows.is_some(), "{:?}", verified.differences);
    assert_eq!(verified.archived[0].verified, verified.archived[0].bodies);
    // A late word on an archived run.
    service.signal(1, "run.succeeded", json!({})).await;
    let late = service.read(&format!("runs/{}", run(1))).await;
    assert_eq!(late["recorded"]["late_signals"][0]["outcome"], "succeeded", "{late}");
}

/// The runs of an answer, without when it was given.
fn same(runs: &Value) -> Vec<Value> {
    let runs = runs["items"].as_array().unwrap().iter();
    runs.map(|run| json!([run["run_id"], run["recorded"], run["now"]["actionability"]])).collect()
}

async fn entries(signed: &Signed) -> Vec<Vec<u8>> {
    let bundle = signed.get("tile/entries/000").await;
    assert_eq!(bundle.status, 200);
    let entries = runledger_proof::tile::entries(&bundle.body, 256).unwrap();
    entries.into_iter().map(<[u8]>::to_vec).collect()
}

async fn browse(service: &Service, path: &str) -> String {
    let cookie = crate::web::signed_in(service).await;
    let request = Request::get(path).header(header::HOST, "127.0.0.1:7300");
    let request = request.header(header::COOKIE, cookie);
    let reply = service.browse(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    String::from_utf8(reply.body.to_vec()).unwrap()
}

//! The views for people who ask with SQL (docs/sql-views.md), and the dashboard for Grafana over
//! them and over `/metrics`: every query in it is run, and every metric in it is there.

use std::collections::BTreeSet;

use runledger_ledger::words::{Outcome, Status};
use runledger_projections::rules::actionability::{Actionability, is_follow_up};
use runledger_tests::database::create_role;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};

use crate::service::{Database, Service, event, run};

const DOCS: &str = include_str!("../../../docs/sql-views.md");
const DASHBOARD: &str = include_str!("../../../docs/grafana/runledger.json");

/// Every text in a JSON value under one of these names.
fn texts<'a>(value: &'a Value, names: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| match value {
            Value::String(text) if names.contains(&name.as_str()) => found.push(text),
            value => texts(value, names, found),
        }),
        Value::Array(values) => values.iter().for_each(|value| texts(value, names, found)),
        _ => {}
    }
}

async fn with_history() -> (Service, PgPool) {
    let service = Service::on(Database::Postgres).await;
    let named = json!({"operation": "inventory.sync", "environment": "prod", "queue": "sync",
        "subject": {"type": "tenant", "id": "7"}});
    let worker = json!({"worker": "w", "lease_seconds": 300, "queues": ["sync"]});
    service
        .record(&[
            json!({"type": "worker.seen", "data": worker}),
            event(1, "run.dispatched", named.clone()),
            event(1, "run.failed", json!({"reason_code": "timeout"})),
            event(2, "run.dispatched", json!({"operation": "acme.own"})),
            event(2, "run.failed", json!({"reason_code": "timeout"})),
            event(3, "run.dispatched", named.clone()),
        ])
        .await;
    service.wait(60);
    let later = json!({"operation": "acme.own", "environment": "prod"});
    service.record(&[event(4, "run.dispatched", later)]).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let pool = service.app.ledger().store().postgres().unwrap();
    let pool = runledger_tests::database::superuser_pool(pool).await;
    (service, pool)
}

#[tokio::test]
async fn every_query_of_the_grafana_dashboard_is_answered() {
    let (_service, pool) = with_history().await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    texts(&dashboard, &["rawSql", "query"], &mut queries);
    assert!(queries.len() > 8, "only {queries:?}");
    let mut answered = 0;
    for query in queries {
        let query = query.replace("$workspace", "main").replace("${__from}", "1000000000000");
        let query = query.replace("${__to}", "4000000000000");
        assert!(!query.contains('$'), "{query} asks for what the test does not know");
        let rows = sqlx::query(AssertSqlSafe(query.clone())).fetch_all(&pool).await;
        let rows = rows.unwrap_or_else(|error| panic!("{query}: {error}"));
        answered += usize::from(!rows.is_empty());
    }
    assert!(answered > 7, "only {answered} of them had an answer");
}

#[tokio::test]
async fn every_metric_of_the_grafana_dashboard_is_there() {
    let service = Service::on(Database::Sqlite).await;
    // What counts answers is there from the first one on.
    service.record(&[event(1, "run.dispatched", json!({"operation": "acme.own"}))]).await;
    let metrics = service.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let there: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut expressions = Vec::new();
    texts(&dashboard, &["expr"], &mut expressions);
    let words =
        expressions.iter().flat_map(|one| one.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("runledger_")).collect();
    assert!(named.len() > 6, "only {named:?}");
    for name in named {
        let family = ["_total", "_bucket"].iter().find_map(|end| name.strip_suffix(end));
        assert!(there.contains(family.unwrap_or(name)), "{name} is not in {there:?}");
    }
}

#[tokio::test]
async fn the_views_say_in_words_what_the_api_says() {
    let (service, pool) = with_history().await;
    let rows = sqlx::query(
        "SELECT run_id::text, status, outcome, freshness, actionability, follow_up, environment \
         FROM runledger_v1_runs ORDER BY run_id",
    );
    let rows = rows.fetch_all(&pool).await.unwrap();
    assert_eq!(rows.len(), 4);
    for (number, row) in (1..).zip(&rows) {
        let told = service.read(&format!("runs/{}", run(number))).await;
        let text = |name: &str| row.get::<Option<String>, _>(name).map_or(Value::Null, Value::from);
        assert_eq!(text("run_id"), told["run_id"]);
        for (name, value) in [
            ("status", &told["recorded"]["status"]),
            ("outcome", &told["recorded"]["outcome"]),
            ("environment", &told["recorded"]["environment"]),
            ("actionability", &told["now"]["actionability"]["status"]),
        ] {
            assert_eq!(&text(name), value, "{name} of {told}");
        }
        assert_eq!(Value::from(row.get::<bool, _>("follow_up")), told["now"]["follow_up"]);
    }
    // Each word stands at its place in the list that the program has.
    let words = |function: &'static str, all: Vec<&'static str>| (function, all);
    for (function, all) in [
        words("status", Status::ALL.iter().map(|one| one.as_str()).collect()),
        words("outcome", Outcome::ALL.iter().map(|one| one.as_str()).collect()),
        words("actionability", Actionability::ALL.iter().map(|one| one.as_str()).collect()),
    ] {
        // The names of functions are those above.
        let sql = format!("SELECT runledger_v1_{function}($1::smallint)");
        for (place, word) in all.iter().enumerate() {
            let place = i16::try_from(place).unwrap();
            let row = sqlx::query(AssertSqlSafe(sql.clone())).bind(place).fetch_one(&pool).await;
            assert_eq!(row.unwrap().get::<String, _>(0), *word);
        }
    }
    let counted = "SELECT DISTINCT actionability, follow_up FROM runledger_v1_run_counts";
    for row in sqlx::query(counted).fetch_all(&pool).await.unwrap() {
        let status: Actionability = row.get::<String, _>(0).parse().unwrap();
        assert_eq!(row.get::<bool, _>(1), is_follow_up(status), "{status}");
    }
}

#[tokio::test]
async fn the_documented_rights_are_enough_to_read_the_views_and_for_nothing_else() {
    let (_service, pool) = with_history().await;
    let name: String =
        sqlx::query("SELECT current_database()::text").fetch_one(&pool).await.unwrap().get(0);
    let base = std::env::var(runledger_tests::database::TEST_PG).ok();
    let options = pool.connect_options();
    let socket = options.get_socket().map(|path| path.display().to_string());
    let host = socket.map(|path| path.replace('/', "%2F")).unwrap_or_default();
    let url = base.map_or_else(
        || format!("postgres://postgres@{host}/{name}"),
        |base| base.rsplit_once('/').map_or(base.clone(), |(server, _)| format!("{server}/{name}")),
    );
    let role = create_role(&url).await.unwrap();
    let sql = DOCS.split("```sql").nth(1).unwrap().split("```").next().unwrap();
    for statement in sql.split(';').map(str::trim).filter(|one| !one.is_empty()) {
        if statement.starts_with("CREATE ROLE") {
            continue;
        }
        // The document's own text, with the role of this test in it.
        let statement = statement.replace("runledger_reader", &role.name);
        sqlx::query(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    let mut reader = PgConnection::connect(&role.url).await.unwrap();
    let views = DOCS.lines().filter_map(|line| line.strip_prefix("| `runledger_v1_"));
    let mut seen = 0;
    for line in views {
        let (view, rest) = line.split_once('`').unwrap();
        let columns = rest.rsplit('|').nth(1).unwrap().replace('`', "");
        // Names from the document, which is part of this repository.
        let sql = format!("SELECT {columns} FROM runledger_v1_{view}");
        let rows = sqlx::query(AssertSqlSafe(sql.clone())).fetch_all(&mut reader).await;
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        seen += 1;
    }
    assert_eq!(seen, 6);
    for refused in ["SELECT * FROM events", "DELETE FROM runs", "SELECT * FROM saved_views"] {
        let result = sqlx::query(refused).execute(&mut reader).await;
        assert!(result.is_err(), "{refused} is allowed");
    }
}

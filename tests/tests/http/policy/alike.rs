//! What is hidden and what is not there cost the same, and nothing leads to what is hidden.
//!
//! Time cannot be tested without luck. What takes it can: which statements are run, and how many
//! rows each gives.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;
use runledger_projections::watch;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::{ask, token};
use crate::service::{Database, Reply, Service, event, run};

/// What sqlx logs, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

impl Log {
    /// The statements since the last time, with the rows that each gave.
    fn take(&self) -> Vec<(Value, Value)> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let fields = lines.map(|line| line["fields"].clone());
        let all = fields.map(|of| (of["summary"].clone(), of["rows_returned"].clone()));
        // A connection that was opened meanwhile is no matter of the question.
        all.filter(|(summary, _)| !summary.as_str().unwrap().starts_with("SET ")).collect()
    }

    /// Waits until it is written that a token was used, which nobody waits for otherwise, so that it
    /// is no part of what is asked afterwards.
    async fn use_is_noted(&self) {
        let noted = || {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let rest = text.split_once("UPDATE tokens SET last_used_at").map(|(_, rest)| rest);
            rest.is_some_and(|rest| rest.contains("COMMIT"))
        };
        let patience = Duration::from_secs(60);
        let polled = async {
            while !noted() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(patience, polled).await.expect("the use of a token was never noted");
    }
}

/// What an answer cost. Of SQLite, whose statements are logged by a thread of its own, those of the
/// read models.
struct Cost {
    reply: Reply,
    logged: Vec<(Value, Value)>,
    watched: Vec<String>,
}

async fn cost(service: &Service, log: &Log, token: &str, path: &str) -> Cost {
    log.take();
    let (reply, watched) = Box::pin(watch(ask(service, token, "GET", path, ""))).await;
    let watched = watched.into_iter().map(|statement| statement.sql).collect();
    Cost { reply, logged: log.take(), watched }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_is_hidden_costs_what_is_missing_does(#[case] database: Database) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter("sqlx::query=debug")
        .with_writer(log.clone())
        .finish();
    // The whole test runs on this thread.
    let _logging = tracing::subscriber::set_default(subscriber);
    let service = Service::on(database).await;
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let of = |environment: &str| json!({"operation": "backup.create", "environment": environment});
    service.dispatch(1, of("production")).await;
    service.dispatch(3, of("staging")).await;
    service.dispatch(5, json!({"operation": "backup.create"})).await;
    let held = token(&service, "main", "operator", Some(&["production"])).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    ask(&service, &held, "GET", "/v1/workspaces/main/runs", "").await.ok(200);
    if matches!(database, Database::Postgres) {
        log.use_is_noted().await;
    }
    let (mut logged, mut watched) = (0, 0);
    for tail in ["", "/events", "/timeline", "/diff?from=2"] {
        let path = |number| format!("/v1/workspaces/main/runs/{}{tail}", run(number));
        // The first time, statements are prepared.
        cost(&service, &log, &held, &path(98)).await;
        let missing = cost(&service, &log, &held, &path(99)).await;
        assert_eq!(missing.reply.problem(404), "unknown_run", "{tail}");
        for hidden in [3, 5] {
            let found = cost(&service, &log, &held, &path(hidden)).await;
            let said = |cost: &Cost, number| {
                String::from_utf8_lossy(&cost.reply.body).replace(&run(number), "…")
            };
            assert_eq!(said(&found, hidden), said(&missing, 99), "{tail}");
            assert_eq!(found.reply.headers, missing.reply.headers, "{tail}");
            assert_eq!(found.watched, missing.watched, "{tail}");
            assert_eq!(found.logged, missing.logged, "{tail}");
        }
        logged += missing.logged.len();
        watched += missing.watched.len();
        let [foreign, nowhere] =
            ["other", "nowhere"].map(|name| format!("/v1/workspaces/{name}/runs/{}{tail}", run(1)));
        let foreign = cost(&service, &log, &held, &foreign).await;
        let nowhere = cost(&service, &log, &held, &nowhere).await;
        assert_eq!(foreign.reply.problem(404), "unknown_workspace", "{tail}");
        assert_eq!(foreign.reply.body, nowhere.reply.body, "{tail}");
        assert_eq!(foreign.logged, nowhere.logged, "{tail}");
        assert!(foreign.watched.is_empty() && nowhere.watched.is_empty(), "{tail}");
    }
    assert!(watched >= 4, "nothing was asked: {watched}");
    assert!(logged >= 8 || matches!(database, Database::Sqlite), "nothing was logged: {logged}");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn nothing_leads_to_a_run_out_of_sight(#[case] database: Database) {
    let service = Service::on(database).await;
    let of = |environment: &str, parent: Option<u8>, retry: Option<u8>| {
        let mut data = json!({"operation": "backup.create", "environment": environment});
        for (lead, number) in [("parent_run_id", parent), ("retry_of", retry)] {
            if let Some(number) = number {
                data[lead] = json!(run(number));
            }
        }
        data
    };
    let failed = json!({"reason_code": "broken"});
    // 3 is hidden, 9 is nowhere, and 1 is in sight.
    service
        .record(&[
            event(3, "run.dispatched", of("staging", None, None)),
            event(1, "run.dispatched", of("production", Some(3), None)),
            event(1, "run.failed", failed.clone()),
            event(2, "run.dispatched", of("production", Some(1), Some(3))),
            event(4, "run.dispatched", of("production", Some(9), Some(1))),
            event(4, "run.failed", failed),
        ])
        .await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let whole = token(&service, "main", "operator", None).await;
    let held = token(&service, "main", "operator", Some(&["production"])).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let mut reads = vec!["runs".to_owned(), "follow-ups".to_owned(), "diff?from=3".to_owned()];
    for number in [1, 2, 4] {
        for tail in ["", "/events", "/timeline", "/diff?from=3", "?as_of=7"] {
            reads.push(format!("runs/{}{tail}", run(number)));
        }
    }
    let items = ask(&service, &whole, "GET", "/v1/workspaces/main/follow-ups", "").await.ok(200);
    for item in items["items"].as_array().unwrap() {
        reads.push(format!("follow-ups/{}", item["key"].as_str().unwrap()));
    }
    let mut led = 0;
    for read in &reads {
        let path = format!("/v1/workspaces/main/{read}");
        let seen = ask(&service, &held, "GET", &path, "").await.ok(200).to_string();
        assert!(!seen.contains(&run(3)) && !seen.contains(&run(9)), "{read}: {seen}");
        let all = ask(&service, &whole, "GET", &path, "").await.ok(200).to_string();
        led += u32::from(all.contains(&run(3)) || all.contains(&run(9)));
    }
    assert!(led >= 8, "{led}: there must be something to hide");
    let own =
        ask(&service, &held, "GET", &format!("/v1/workspaces/main/runs/{}", run(2)), "").await;
    assert_eq!(own.ok(200)["recorded"]["parent_run_id"], run(1), "what is in sight is led to");
    let events = format!("/v1/workspaces/main/runs/{}/events", run(4));
    let events = ask(&service, &held, "GET", &events, "").await.ok(200);
    let data = &events["items"][0]["event"]["data"];
    assert_eq!((&data["retry_of"], &data["parent_run_id"]), (&json!(run(1)), &Value::Null));
}

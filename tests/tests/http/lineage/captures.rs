//! What real clients sent, sent again: in its own order and in others, with the outcome that each
//! capture's story demands (`tests/fixtures/openlineage/README.md`).

use std::io::Write;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::header;
use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;
use runledger_ledger::clock::Entropy;
use runledger_ledger::time::{Moment, Span};
use serde_json::{Value, json};

use crate::service::{Database, Service};

/// A capture, and what its story demands.
struct Story {
    capture: &'static str,
    /// Runs in all.
    runs: usize,
    /// Jobs of which something is left to do.
    follow_ups: &'static [&'static str],
    /// Jobs of which a failure was made good.
    superseded: &'static [&'static str],
    /// Jobs of which a run was stopped.
    cancelled: &'static [&'static str],
    /// Jobs of which a run never ends.
    left_open: &'static [&'static str],
}

const NOTHING: Story = Story {
    capture: "",
    runs: 1,
    follow_ups: &[],
    superseded: &[],
    cancelled: &[],
    left_open: &[],
};

const STORIES: &[Story] = &[
    Story {
        capture: "airflow-dags-test",
        runs: 5,
        follow_ups: &["ledger_demo", "ledger_demo.bad"],
        superseded: &["ledger_demo.flaky"],
        ..NOTHING
    },
    Story {
        capture: "airflow-scheduler-run",
        runs: 5,
        follow_ups: &["ledger_demo", "ledger_demo.bad"],
        superseded: &["ledger_demo.flaky"],
        ..NOTHING
    },
    Story { capture: "dbt-build-ok", runs: 5, ..NOTHING },
    Story {
        capture: "dbt-child-killed-orphan",
        runs: 18,
        cancelled: &["dbt-run-ledger_demo"],
        left_open: &["model.ledger_demo.slow", "model.ledger_demo.slow.sql.2"],
        ..NOTHING
    },
    Story {
        capture: "dbt-run-fail",
        runs: 4,
        follow_ups: &["dbt-run-ledger_demo", "demo.main.ledger_demo.broken"],
        ..NOTHING
    },
    Story {
        capture: "dbt-run-fail-structured-logs",
        runs: 18,
        follow_ups: &[
            "dbt-run-ledger_demo",
            "model.ledger_demo.broken",
            "model.ledger_demo.broken.sql.2",
        ],
        ..NOTHING
    },
    Story {
        capture: "dbt-sigkill-no-terminal",
        runs: 18,
        left_open: &[
            "dbt-run-ledger_demo",
            "model.ledger_demo.slow",
            "model.ledger_demo.slow.sql.2",
        ],
        ..NOTHING
    },
    Story { capture: "py-async-complete-without-start", ..NOTHING },
    Story { capture: "py-async-running-after-complete", ..NOTHING },
    Story { capture: "py-http-5xx-duplicate-start", ..NOTHING },
    Story { capture: "py-http-gzip", ..NOTHING },
];

/// A recorded request.
struct Recorded {
    body: String,
    received_at: Moment,
    answered: u64,
    compressed: bool,
}

fn captures() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/openlineage").into()
}

fn recorded(capture: &str) -> Vec<Recorded> {
    let files = std::fs::read_dir(captures().join(capture)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let request: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let seconds = request["received_at"].as_f64().unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "a time of our days in microseconds")]
        let received_at = Moment::from_micros((seconds * 1_000_000.0) as i64);
        let headers = request["headers"].to_string().to_lowercase();
        Recorded {
            body: request["body"].to_string(),
            received_at,
            answered: request["answered"].as_u64().unwrap(),
            compressed: headers.contains("gzip") && headers.contains("content-encoding"),
        }
    };
    files.iter().map(read).collect()
}

/// A service that requests are sent to again, each time in a workspace of its own.
struct Replays {
    service: Service,
    count: usize,
}

/// One of its workspaces.
struct Replay<'a> {
    service: &'a Service,
    workspace: String,
}

impl Replays {
    /// A workspace that has been sent these requests: each when it arrived, or, if `at` says so,
    /// all then. They are taken whatever they say.
    async fn replay(&mut self, requests: &[&Recorded], at: Option<Moment>) -> Replay<'_> {
        self.count += 1;
        let workspace = format!("w{}", self.count);
        self.service.clock.set(at.unwrap_or(requests[0].received_at));
        let made = self
            .service
            .post_json("/v1/workspaces", &json!({"name": workspace, "reason": "for a test"}))
            .await;
        made.ok(201);
        for recorded in requests {
            self.service.clock.set(at.unwrap_or(recorded.received_at));
            let path = format!("/api/v1/lineage?workspace={workspace}");
            let mut request =
                Service::request("POST", &path).header(header::CONTENT_TYPE, "application/json");
            let mut body = recorded.body.clone().into_bytes();
            if recorded.compressed {
                request = request.header(header::CONTENT_ENCODING, "gzip");
                let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
                gzip.write_all(&body).unwrap();
                body = gzip.finish().unwrap();
            }
            let reply = self.service.send(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(reply.status, 201, "{reply:?}");
        }
        self.service.clock.advance(Span::from_secs(1));
        Replay { service: &self.service, workspace }
    }
}

impl Replay<'_> {
    async fn read(&self, path: &str) -> Value {
        let store = self.service.app.ledger().store();
        let id = store.workspace_by_name(&self.workspace).await.unwrap().unwrap();
        self.service.app.projections().catch_up(id).await.unwrap();
        let path = format!("/v1/workspaces/{}/{path}", self.workspace);
        self.service.get(&path).await.ok(200)
    }

    /// The jobs of the runs that a filter finds, in alphabetical order.
    async fn jobs(&self, filter: &str) -> Vec<String> {
        let page = self.read(&format!("runs?limit=500&{filter}")).await;
        let items = page["items"].as_array().unwrap().iter();
        let job = |item: &Value| item["recorded"]["subject"]["id"].as_str().unwrap().to_owned();
        let mut jobs: Vec<String> = items.map(job).collect();
        jobs.sort();
        jobs.iter().map(|job| job.strip_prefix("ledger-demo/").unwrap().to_owned()).collect()
    }

    /// Holds what is true now, and seven hours later, against the story.
    async fn tells(&self, story: &Story, order: &str) {
        let told = format!("{} {order}", story.capture);
        assert_eq!(self.read("overview").await["runs"], story.runs, "{told}");
        assert_eq!(self.jobs("follow_up=true").await, story.follow_ups, "{told}");
        let superseded = self.jobs("actionability=superseded_by_later_success").await;
        assert_eq!(superseded, story.superseded, "{told}");
        assert_eq!(self.jobs("outcome=cancelled").await, story.cancelled, "{told}");
        assert_eq!(self.jobs("freshness=fresh_running").await, story.left_open, "{told}");
        assert_eq!(self.jobs("status=queued").await, Vec::<String>::new(), "{told}");

        // Silence is not failure.
        self.service.clock.advance(Span::from_secs(7 * 3_600));
        assert_eq!(self.jobs("freshness=stale_running").await, story.left_open, "{told}");
        assert_eq!(self.jobs("follow_up=true").await, story.follow_ups, "{told}");
        let stale = self.read("runs?freshness=stale_running").await;
        for run in stale["items"].as_array().unwrap() {
            assert_eq!(run["recorded"]["outcome"], "pending", "{told}");
            assert_eq!(run["now"]["guidance"]["key"], "running_past_window", "{told}");
        }
    }

    /// What must not depend on the order of arrival, run by run.
    ///
    /// A START after a heartbeat is a duplicate, so its time is not kept (DESIGN section 3): where
    /// there are heartbeats, the time of dispatch may be theirs.
    async fn essence(&self, heartbeats: bool) -> Vec<Value> {
        let page = self.read("runs?limit=500").await;
        let essence = |item: &Value| {
            let mut kept = json!({"run": item["run_id"], "verdict": item["now"]["actionability"]});
            let members =
                ["status", "outcome", "settled_at", "parent_run_id", "subject", "attempt"];
            let dispatched = (!heartbeats).then_some("dispatched_at");
            for member in members.into_iter().chain(dispatched) {
                kept[member] = item["recorded"][member].clone();
            }
            kept
        };
        page["items"].as_array().unwrap().iter().map(essence).collect()
    }
}

/// The requests in another order, the same for the same seed.
fn shuffled(requests: &[Recorded], seed: u64) -> Vec<&Recorded> {
    let entropy = Entropy::seeded(seed);
    let mut keyed: Vec<([u8; 8], &Recorded)> = requests
        .iter()
        .map(|request| {
            let mut key = [0; 8];
            entropy.fill(&mut key).unwrap();
            (key, request)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, request)| request).collect()
}

#[rstest]
#[case::sqlite(Database::Sqlite, 6)]
#[case::postgresql(Database::Postgres, 2)]
#[tokio::test]
async fn every_capture_tells_its_story_in_any_order(
    #[case] database: Database,
    #[case] orders: u64,
) {
    let service = Service::on(database).await;
    let mut replays = Replays { service, count: 0 };
    for story in STORIES {
        let requests = recorded(story.capture);
        let own_order: Vec<&Recorded> = requests.iter().collect();
        let as_it_was = replays.replay(&own_order, None).await;
        as_it_was.tells(story, "as it was sent").await;

        // What the recording server refused was lost.
        let arrived = |request: &&Recorded| (200..300).contains(&request.answered);
        let arrived: Vec<&Recorded> = requests.iter().filter(arrived).collect();
        replays.replay(&arrived, None).await.tells(story, "as it arrived").await;

        let heartbeats = requests.iter().any(|request| request.body.contains("\"RUNNING\""));
        // All at one time, so that only the order differs.
        let late = own_order.iter().map(|request| request.received_at).max().unwrap();
        let late = Some(late.plus(Span::from_secs(60)));
        let sorted = replays.replay(&own_order, late).await;
        let expected = sorted.essence(heartbeats).await;
        sorted.tells(story, "late").await;
        let backwards: Vec<&Recorded> = requests.iter().rev().collect();
        let others = (0..orders).map(|seed| shuffled(&requests, seed));
        for (number, order) in std::iter::once(backwards).chain(others).enumerate() {
            let replay = replays.replay(&order, late).await;
            assert_eq!(
                replay.essence(heartbeats).await,
                expected,
                "{} order {number}",
                story.capture
            );
            replay.tells(story, &format!("order {number}")).await;
        }
    }
}

#[test]
fn every_capture_has_a_story() {
    let mut found: Vec<String> = std::fs::read_dir(captures())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    found.sort();
    let told: Vec<&str> = STORIES.iter().map(|story| story.capture).collect();
    assert_eq!(found, told);
    assert!(recorded("py-http-gzip").iter().all(|request| request.compressed));
}

#[tokio::test]
async fn a_second_try_keeps_its_number_and_names_the_run_that_made_the_first_one_good() {
    let mut replays = Replays { service: Service::on(Database::Sqlite).await, count: 0 };
    let requests = recorded("airflow-scheduler-run");
    let replay = replays.replay(&requests.iter().collect::<Vec<_>>(), None).await;
    let page = replay.read("runs?subject=job/ledger-demo/ledger_demo.flaky").await;
    let [second, first] = page["items"].as_array().unwrap().as_slice() else { panic!("{page}") };
    assert_eq!(
        (&first["recorded"]["attempt"], &second["recorded"]["attempt"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(first["recorded"]["outcome"], "failed");
    let proof = json!({"type": "run", "run_id": second["run_id"]});
    assert_eq!(first["now"]["actionability"]["proof"], proof);
    assert_eq!(first["now"]["guidance"]["key"], "superseded");
    // Both are parts of the DAG run.
    let dag = replay.read("runs?subject=job/ledger-demo/ledger_demo").await;
    assert_eq!(first["recorded"]["parent_run_id"], dag["items"][0]["run_id"]);
}

#[tokio::test]
async fn what_completes_without_a_start_has_none_and_a_late_heartbeat_changes_nothing() {
    let mut replays = Replays { service: Service::on(Database::Sqlite).await, count: 0 };
    let requests = recorded("py-async-complete-without-start");
    let arrived = [&requests[1]];
    let replay = replays.replay(&arrived, None).await;
    let page = replay.read("runs").await;
    assert_eq!(page["items"][0]["recorded"].get("started_at"), None);
    assert_eq!(page["items"][0]["recorded"]["outcome"], "succeeded");
    let requests = recorded("py-async-running-after-complete");
    let order = [&requests[0], &requests[2], &requests[3]];
    let page = replays.replay(&order, None).await.read("runs").await;
    assert_eq!(page["items"][0]["recorded"]["outcome"], "succeeded");
    assert_eq!(page["items"][0]["recorded"]["events"], 3);
}

//! What job systems say, told to the ledger as `docs/job-systems.md` has it.

use std::collections::HashMap;

use rstest::rstest;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Service};

const GUIDE: &str = include_str!("../../../docs/job-systems.md");

/// What a system says, and what it means for the ledger, if anything.
type Told = HashMap<&'static str, Option<&'static str>>;

/// The table of each system in the guide.
fn guide() -> HashMap<&'static str, Told> {
    let mut systems: HashMap<&str, Told> = HashMap::new();
    let mut system = None;
    for line in GUIDE.lines() {
        if line.starts_with('#') {
            system = line.strip_prefix("### ");
        }
        let (Some(system), Some(row)) = (system, line.strip_prefix("| ")) else { continue };
        let Some((says, tell)) = row.strip_suffix(" |").and_then(|row| row.split_once(" | "))
        else {
            continue;
        };
        let tell = match tell {
            "tell" => continue,
            "nothing" => None,
            event => Some(event.trim_matches('`')),
        };
        let before = systems.entry(system).or_default().insert(says, tell);
        assert_eq!(before, None, "{system} says {says:?} twice");
    }
    systems
}

fn data(event: &str) -> Value {
    let mut data = match event {
        "run.started" => json!({"worker": "w1"}),
        "run.heartbeat" => json!({"progress": {"phase": "waiting for another try"}}),
        "run.failed" => json!({"reason_code": "job_failed", "message": "no route to host"}),
        "run.cancelled" => json!({"reason": "no longer needed"}),
        _ => json!({}),
    };
    data["operation"] = json!("inventory.sync");
    data["environment"] = json!("prod");
    data
}

#[rstest]
#[case::a_released_job_of_laravel_has_not_succeeded(
    "Laravel",
    &["`JobQueued`", "`JobProcessing`", "`JobProcessed`, released"],
    ("running", "pending"),
)]
#[case::a_second_try_of_laravel_makes_the_job_good(
    "Laravel",
    &["`JobQueued`", "`JobProcessing`", "`JobExceptionOccurred`", "`JobReleasedAfterException`",
      "`JobProcessing`", "`JobProcessed`, not released"],
    ("completed", "succeeded"),
)]
#[case::a_job_of_laravel_that_failed_for_good_has_failed(
    "Laravel",
    &["`JobQueued`", "`JobProcessing`", "`JobExceptionOccurred`", "`JobFailed`"],
    ("completed", "failed"),
)]
#[case::a_start_of_celery_that_overtakes_its_dispatch_is_of_the_same_run(
    "Celery",
    &["`task-started`", "`task-sent`", "`task-retried`", "`task-started`", "`task-succeeded`"],
    ("completed", "succeeded"),
)]
#[case::a_task_of_celery_is_revoked_by_several_workers_and_cancelled_once(
    "Celery",
    &["`task-sent`", "`task-revoked`", "`task-revoked`"],
    ("completed", "cancelled"),
)]
#[case::a_raise_in_sidekiq_is_no_end(
    "Sidekiq",
    &["client middleware pushes", "server middleware begins", "server middleware raises",
      "server middleware begins", "server middleware returns"],
    ("completed", "succeeded"),
)]
#[case::a_dead_job_of_sidekiq_has_failed(
    "Sidekiq",
    &["client middleware pushes", "server middleware begins", "server middleware raises",
      "death handler"],
    ("completed", "failed"),
)]
#[case::a_stalled_job_of_bullmq_becomes_active_again(
    "BullMQ",
    &["`added`", "`active`", "`stalled`", "`active`", "`progress`", "`completed`"],
    ("completed", "succeeded"),
)]
#[case::a_failed_try_of_bullmq_is_no_end(
    "BullMQ",
    &["`added`", "`active`", "`failed`, tries left"],
    ("running", "pending"),
)]
#[case::a_job_of_bullmq_without_tries_left_has_failed(
    "BullMQ",
    &["`added`", "`active`", "`failed`, tries left", "`active`", "`retries-exhausted`"],
    ("completed", "failed"),
)]
#[case::a_job_of_bullmq_that_was_removed_is_cancelled(
    "BullMQ", &["`added`", "`removed`"], ("completed", "cancelled"),
)]
#[case::a_stop_of_oban_may_be_a_cancellation(
    "Oban",
    &["inserted", "`[:oban, :job, :start]`", "`[:oban, :job, :stop]`, `cancelled`"],
    ("completed", "cancelled"),
)]
#[case::a_snoozed_job_of_oban_goes_on(
    "Oban",
    &["inserted", "`[:oban, :job, :start]`", "`[:oban, :job, :stop]`, `snoozed`",
      "`[:oban, :job, :start]`", "`[:oban, :job, :stop]`, `success`"],
    ("completed", "succeeded"),
)]
#[case::a_discarded_job_of_oban_has_failed(
    "Oban",
    &["inserted", "`[:oban, :job, :start]`", "`[:oban, :job, :exception]`, `retryable`",
      "`[:oban, :job, :start]`", "`[:oban, :job, :exception]`, `discard`"],
    ("completed", "failed"),
)]
#[case::a_job_of_river_ends_without_having_said_that_it_started(
    "River", &["inserted", "`job_completed`"], ("completed", "succeeded"),
)]
#[case::a_job_of_river_fails_at_its_last_try_alone(
    "River",
    &["inserted", "`job_failed`, tries left", "`job_snoozed`", "`job_failed`, last try"],
    ("completed", "failed"),
)]
#[case::a_job_of_river_is_cancelled("River", &["inserted", "`job_cancelled`"], ("completed", "cancelled"))]
#[case::a_watch_of_kubernetes_skips_states(
    "Kubernetes", &["`Complete`", "created"], ("completed", "succeeded"),
)]
#[case::a_suspended_job_of_kubernetes_waits(
    "Kubernetes", &["created", "`Suspended`"], ("queued", "pending"),
)]
#[case::a_job_of_kubernetes_is_active_and_fails(
    "Kubernetes", &["created", "`status.active` above 0", "`Failed`"], ("completed", "failed"),
)]
#[case::a_job_of_kubernetes_that_is_deleted_is_cancelled(
    "Kubernetes", &["created", "deleted before its end"], ("completed", "cancelled"),
)]
#[tokio::test]
async fn a_job_is_one_run_whatever_its_system_says_of_its_tries(
    #[case] system: &str,
    #[case] story: &[&str],
    #[case] (status, outcome): (&str, &str),
) {
    let service = Service::on(Database::Sqlite).await;
    let guide = guide();
    for said in story {
        let told = guide[system].get(said);
        let told = told.unwrap_or_else(|| panic!("the guide has no {said:?} of {system}"));
        let Some(kind) = *told else { continue };
        let external_id = json!({"source": system.to_lowercase(), "kind": "job", "id": "b4a577ed"});
        let event = json!({"type": kind, "external_id": external_id, "data": data(kind)});
        let reply = service.post_json(EVENTS, &json!([event])).await.ok(200);
        assert_eq!(reply["summary"]["refused"], 0, "{said}: {reply}");
        service.wait(1);
    }
    let runs = service.read("runs").await;
    let [run] = &runs["items"].as_array().unwrap()[..] else { panic!("{runs}") };
    let recorded = &run["recorded"];
    assert_eq!((&recorded["status"], &recorded["outcome"]), (&status.into(), &outcome.into()));
    assert_ne!(recorded["contradicted"], true, "{run}");
}

#[test]
fn the_guide_says_for_every_system_how_it_begins_and_how_it_may_end() {
    let guide = guide();
    assert_eq!(guide.len(), 7, "{guide:?}");
    for (system, told) in guide {
        for event in ["run.dispatched", "run.succeeded", "run.failed"] {
            assert!(told.values().any(|tell| *tell == Some(event)), "{system} has no {event}");
        }
    }
}

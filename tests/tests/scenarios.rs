//! The rules, as scenario files tell them: all of `specs/scenarios`, on both databases, and the
//! program that plays them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rstest::rstest;
use runledger::scenario::Engine;
use runledger::scenario::file::Scenario;
use runledger_ledger::store::StoreUrl;

const PROGRAM: &str = env!("CARGO_BIN_EXE_runledger-under-test");

#[rstest]
#[tokio::test]
async fn every_scenario_holds(#[values("sqlite", "postgresql")] kind: &str) {
    let url = match kind {
        "sqlite" => StoreUrl::SqliteMemory,
        _ => StoreUrl::Postgres(runledger_tests::test_database().await),
    };
    let engine = Engine::open(&url).await.unwrap();
    let mut failures = Vec::new();
    for path in specified() {
        let report = engine.play(&Scenario::read(&path).unwrap()).await.unwrap();
        let told = report.failures.iter().map(|failure| format!("{}: {failure}", path.display()));
        failures.extend(told);
    }
    engine.close().await.unwrap();
    assert_eq!(failures, Vec::<String>::new());
}

fn specified() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/scenarios");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    assert!(paths.len() > 60, "the scenarios are elsewhere: {paths:?}");
    paths
}

#[test]
fn the_program_says_what_holds_and_ends_with_0() {
    let file = specified().remove(0);
    let output = program(&["scenario", "test", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output.stdout);
    assert!(lines[0].starts_with("ok "), "{lines:?}");
    assert!(lines[0].contains(&Scenario::read(&file).unwrap().name), "{lines:?}");
    assert_eq!(lines[1..], ["1 scenario: 1 passed, 0 failed"]);
}

const FAILING: &str = r#"
name = "a failure that is taken for a success"
steps = [
  { at = "0m", run = "a", event = "dispatched", operation = "inventory.sync" },
  { at = "1m", run = "a", event = "failed" },
  { at = "2m", run = "a", event = "failed", refused = "identity_mismatch" },
  { at = "3m", run = "a", event = "started", duplicate = true },
]
expect = [
  { at = "9m", run = "a", outcome = "succeeded", status = "completed", events = 3 },
  { at = "1m", follow_up_runs = 0 },
]
"#;

#[tokio::test]
async fn the_program_names_the_line_the_expected_and_the_found_and_ends_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let failing = written(directory.path(), "failing.toml", FAILING);
    let database = runledger_tests::test_database().await;
    for store in ["sqlite", &database] {
        let passing = specified().remove(0);
        let arguments = ["scenario", "test", "--store", store, &failing, passing.to_str().unwrap()];
        let output = program(&arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let lines = lines(&output.stdout);
        assert_eq!(lines[0], format!("FAIL  a failure that is taken for a success  ({failing})"));
        assert_eq!(
            lines[1..5],
            [
                "      line 6: step 3 (run a, failed) at 2m: the answer must be refused as \
                 identity_mismatch, and is duplicate (run a)",
                "      line 7: step 4 (run a, started) at 3m: the answer must be one that records \
                 and refuses nothing, and is recorded (run a)",
                "      line 10: run a at 9m: outcome must be succeeded, and is failed",
                "      line 11: workspace main at 1m: follow_up_runs must be 0, and is 1",
            ]
        );
        assert_eq!(lines.last().unwrap(), "2 scenarios: 1 passed, 1 failed");
    }
}

#[tokio::test]
async fn a_database_is_left_as_it_was() {
    let database = runledger_tests::test_database().await;
    let file = specified().remove(0);
    let output = program(&["scenario", "test", "--store", &database, file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let pool = sqlx::PgPool::connect(&database).await.unwrap();
    let (left,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'runledger%'")
            .fetch_one(&pool)
            .await
            .unwrap();
    let (tables,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!((left, tables), (0, 0));
}

#[rstest]
#[case::no_toml("name = ", "line 1: this is not TOML")]
#[case::no_name("steps = []", "line 1: the file: name is missing")]
#[case::unknown_key(
    "name = 'x'\nstep = []",
    "line 2: the file: unknown key \"step\"; known here are"
)]
#[case::unknown_event(
    "name = 'x'\nsteps = [\n  { at = '0s', event = 'begun' } ]",
    "line 3: step 1: no event is called \"begun\"; known are dispatched"
)]
#[case::key_of_another_event(
    "name = 'x'\nsteps = [\n{ at = '0s', run = 'a', event = 'started', verified = '1s' } ]",
    "line 3: step 1: unknown key \"verified\"; known here are run"
)]
#[case::key_missing(
    "name = 'x'\n[[steps]]\nat = '0s'\nevent = 'observed'\nstate = 'healthy'",
    "line 2: step 1: subject is missing"
)]
#[case::back_in_time(
    "name = 'x'\n[[steps]]\nat = '2s'\nrun = 'a'\nevent = 'ended'\n[[steps]]\nat = '1s'\nrun = 'a'\nevent = 'ended'",
    "line 7: step 2: at 1s is before 2s"
)]
#[case::no_duration(
    "name = 'x'\nsteps = [{ at = 'soon', run = 'a', event = 'ended' }]",
    "line 2: step 1: at: \"soon\" is not a duration"
)]
#[case::no_run(
    "name = 'x'\nsteps = [{ at = '0s', event = 'ended' }]",
    "line 2: step 1: run is missing"
)]
#[case::two_answers(
    "name = 'x'\nsteps = [{ at = '0s', run = 'a', event = 'ended', refused = 'x', duplicate = true }]",
    "line 2: step 1: what is refused is no duplicate"
)]
#[case::no_failure(
    "name = 'x'\nsteps = [{ at = '0s', run = 'a', event = 'failed', outcome = 'succeeded' }]",
    "line 2: step 1: no run fails as succeeded"
)]
#[case::no_word(
    "name = 'x'\nexpect = [{ at = '0s', run = 'a', status = 'done' }]",
    "line 2: expectation 1: status: \"done\" is none of queued, running, completed"
)]
#[case::key_of_a_run(
    "name = 'x'\nexpect = [{ at = '0s', queue = 'q', status = 'queued' }]",
    "line 2: expectation 1: unknown key \"status\"; known here are at, workspace, queue, queue_verdict"
)]
#[case::nothing_expected(
    "name = 'x'\nexpect = [{ at = '0s', run = 'a' }]",
    "line 2: expectation 1: nothing is expected"
)]
#[case::no_name_of_a_worker(
    "name = 'x'\nsteps = [{ at = '0s', run = 'a', event = 'ended', worker = 3 }]",
    "line 2: step 1: worker must be a string in quotes"
)]
#[case::nothing_at_all("name = 'x'", "expects nothing, so it cannot fail")]
#[case::no_catalog("name = 'x'\ncatalog = 'none.toml'", "none.toml cannot be read")]
fn a_file_that_is_no_scenario_is_refused_with_its_line(#[case] text: &str, #[case] told: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "wrong.toml", text);
    let passing = specified().remove(0);
    let output = program(&["scenario", "test", &file, passing.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(told) && error.contains(directory.path().to_str().unwrap()), "{error}");
    // What can be played is played all the same.
    let closing = lines(&output.stdout).pop().unwrap();
    assert_eq!(closing, "2 scenarios: 1 passed, 0 failed, 1 could not be read");
}

#[rstest]
#[case::taken("", 0)]
#[case::refused("{ at = '1m', run = 'b', event = 'ended' }", 1)]
fn a_story_of_steps_alone_is_played(#[case] more: &str, #[case] code: i32) {
    let directory = tempfile::tempdir().unwrap();
    let taken = "{ at = '0s', run = 'a', event = 'ended', operation = 'acme.job' }";
    let text = format!("name = 'x'\nsteps = [{taken}, {more}]");
    let file = written(directory.path(), "steps.toml", &text);
    let output = program(&["scenario", "test", &file]);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

#[test]
fn any_number_of_runs_may_fall_due_one_after_another() {
    let step = |at| {
        format!(
            "{{ at = '{at}s', run = 'r{at}', event = 'dispatched', operation = 'policy.sync' }}"
        )
    };
    let steps: Vec<String> = (0..150).map(step).collect();
    let expect = "{ at = '2d', follow_up_runs = 150, follow_up_items = 1 }";
    let text = format!("name = 'x'\nsteps = [{}]\nexpect = [{expect}]", steps.join(", "));
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "many.toml", &text);
    let output = program(&["scenario", "test", &file]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_file_that_is_not_there_ends_with_2() {
    let output = program(&["scenario", "test", "/nowhere/at-all.toml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nowhere/at-all.toml"));
}

#[test]
fn programs_get_json() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "failing.toml", FAILING);
    let output = program(&["scenario", "test", "--json", &file]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["hold"], &json["fail"]), (&0.into(), &1.into()));
    let first = &json["scenarios"][0]["failures"][0];
    assert_eq!((&first["line"], &first["at"]), (&6.into(), &"2m".into()));
}

fn program(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn lines(output: &[u8]) -> Vec<String> {
    String::from_utf8(output.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

fn written(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

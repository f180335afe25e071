//! The demo shows all that the ledger can say, on both databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use runledger::demo::{Demo, ENVIRONMENTS, Kind};
use runledger::settings::{Flags, Settings};
use runledger_tests::test_database;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_runledger-under-test");
/// How long the day may take on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_every_verdict_of_every_kind_on_sqlite() {
    shows_every_verdict(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_every_verdict_of_every_kind_on_postgresql() {
    shows_every_verdict(Some(test_database().await)).await;
}

async fn shows_every_verdict(database_url: Option<String>) {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), database_url);
    let played = Demo::play(&settings, &|_, _| {});
    let demo = tokio::time::timeout(PATIENCE, played).await.unwrap().unwrap();
    let shown = demo.shown().await.unwrap();
    assert_eq!(shown.missing(), [], "{shown:?}");
    assert!(shown.runs > 100, "{}", shown.runs);
    for environment in ENVIRONMENTS {
        assert!(shown.environments.contains(environment), "{:?}", shown.environments);
    }
    let stalled = shown.verdict(Kind::Queue, "stalled").unwrap();
    assert_eq!((stalled.count, stalled.example.as_str()), (1, "reports"));
    demo.end().await.unwrap();
    let again = Demo::play(&settings, &|_, _| {}).await.unwrap_err();
    assert!(again.to_string().contains("needs a ledger of its own"), "{again}");
}

fn settings(data_dir: &Path, database_url: Option<String>) -> Settings {
    let flags = Flags {
        data_dir: Some(data_dir.to_str().unwrap().to_owned()),
        database_url,
        listen: Some("127.0.0.1:0".to_owned()),
        allow_unsafe: Some("durability,database-role".to_owned()),
        ..Flags::default()
    };
    Settings::resolve(&flags, &|_| None).unwrap()
}

#[tokio::test]
async fn the_program_plays_the_demo_says_where_to_look_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["demo", "--listen", "127.0.0.1:0"]).env("TMPDIR", temporary.path());
    // Settings of a real server are not the demo's.
    command.env("RUNLEDGER_DATABASE_URL", "postgres://nobody@127.0.0.1:1/real");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut program = command.spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    let last = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push(line);
            // The last line that it says.
            if said.last().is_some_and(|line| line.contains("/runs?actionability=")) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, last).await.unwrap();
    let all = said.join("\n");
    for part in ["FRESHNESS", "QUEUES", "ACTIONABILITY", "token  ", "runledger runs list", "curl "]
    {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(std::fs::read_dir(temporary.path()).unwrap().count() > 0, "its data are elsewhere");
    let id = program.id().unwrap().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    assert!(told.success());
    let ended = tokio::time::timeout(PATIENCE, program.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "its data are left");
}

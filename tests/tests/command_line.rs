//! The program as people and scripts use it: against a running server, and on a database itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Command as Report, Submission};
use runledger_ledger::words::Name;
use runledger_ledger::worker::{WorkerKey, WorkerReport};
use runledger_tests::database::superuser;
use runledger_tests::ledger_database;
use runledger_tests::process::{ServerProcess, client};
use serde_json::{Value, json};
use sqlx::Connection;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_runledger-under-test");
const RUN: &str = "0192a0f4-7bde-7c3a-8f51-0d6c9e41b7aa";
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with one failed run, and the program that asks it.
struct Stand {
    server: ServerProcess,
    directory: TempDir,
    database_url: Option<String>,
    /// The position of the last event.
    last: String,
}

impl Stand {
    async fn on(database_url: Option<String>) -> Stand {
        let directory = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(PROGRAM, directory.path(), database_url.as_deref());
        let (server, last) = (server.await.unwrap(), String::new());
        let mut stand = Stand { server, directory, database_url, last };
        let data = json!({ "operation": "backup.create", "environment": "prod",
            "subject": { "type": "backup_set", "id": "wiki" }, "queue": "backups" });
        stand.event("run.dispatched", data).await;
        let data = json!({ "reason_code": "disk_full", "message": "no space left" });
        stand.event("run.failed", data).await;
        stand
    }

    async fn event(&mut self, kind: &str, data: Value) {
        let event = json!({ "type": kind, "run_id": RUN, "data": data });
        let answer = self.post("workspaces/main/events", event).await;
        assert_eq!(answer["status"], json!("recorded"), "{answer}");
        self.last = answer["position"].to_string();
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/v1/{path}", self.server.url);
        let request = client().post(url).bearer_auth(&self.server.token);
        let answer = request.header("content-type", "application/json").body(body.to_string());
        let answer = answer.send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        let url = format!("{}/v1/workspaces/main/{path}", self.server.url);
        let answer = client().get(url).bearer_auth(&self.server.token).send().await.unwrap();
        answer.text().await.unwrap()
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = bare_program(arguments);
        program.env("RUNLEDGER_URL", &self.server.url);
        program.env("RUNLEDGER_DATA_DIR", self.directory.path());
        if let Some(url) = &self.database_url {
            program.env("RUNLEDGER_DATABASE_URL", url);
        }
        program
    }

    async fn ask(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().await.unwrap()
    }

    /// What the program answers once the last event counts.
    async fn ask_after(&self, arguments: &[&str]) -> Output {
        self.ask(&[arguments, &["--after", &self.last]].concat()).await
    }
}

/// The program, knowing of no settings.
fn bare_program(arguments: &[&str]) -> Command {
    let mut program = Command::new(PROGRAM);
    let settings = std::env::vars().map(|(name, _)| name);
    settings.filter(|name| name.starts_with("RUNLEDGER_")).for_each(|name| {
        program.env_remove(name);
    });
    program.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    program
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test]
async fn what_is_shown_is_what_the_server_says_and_json_is_its_answer_as_it_came() {
    let stand = Stand::on(None).await;
    for (arguments, parts) in [
        (&["runs", "list"][..], &[RUN, "backup.set.create", "Failed", "act"][..]),
        (&["runs", "show", "9e41b7aa"], &[RUN, "no space left", "Needs action", "run.failed"]),
        (&["follow-ups"], &[RUN, "1×", "nothing has made it good"]),
        (&["queues"], &["backups", "Empty"]),
        (&["overview"], &["Needs action", "1 run in all"]),
        (&["overview", "--lang", "de"], &["Zu erledigen", "AKTIVE LÄUFE", "Überfällig"]),
        (&["log", "tail"], &["workspace.created", "disk_full"]),
    ] {
        let output = stand.ask_after(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", err(&output));
        for part in parts {
            assert!(out(&output).contains(part), "{arguments:?} lacks {part}: {}", out(&output));
        }
    }
    let before = stand.last.parse::<u64>().unwrap() - 1;
    let output = stand.ask(&["runs", "show", RUN, "--as-of", &before.to_string(), "--json"]).await;
    let path = format!("runs/{RUN}?as_of={before}");
    assert_eq!(out(&output).trim_end(), stand.get(&path).await);
    assert!(out(&output).contains("\"status\":\"queued\""), "{}", out(&output));
}

#[tokio::test]
async fn the_shell_can_tell_who_is_at_fault() {
    let stand = Stand::on(None).await;
    let nowhere = tempfile::tempdir().unwrap();
    let nowhere = nowhere.path().to_str().unwrap();
    let wrong = stand.directory.path().join("wrong-token");
    std::fs::write(&wrong, "wrong").unwrap();
    let wrong = wrong.to_str().unwrap();
    for (arguments, code, says) in [
        (&["runs", "list", "--status", "asleep"][..], 2, "queued, running, completed"),
        (&["runs", "show", "zz"], 2, "no run id"),
        (&["runs", "show", "deadbeef"], 1, "runledger runs list"),
        (&["runs", "list", "--data-dir", nowhere], 2, "--token-file"),
        (&["runs", "list", "--url", "nowhere"], 2, "http://"),
        (&["runs", "list", "--url", "http://127.0.0.1:1"], 3, "runledger serve"),
        (&["runs", "list", "--token-file", wrong], 3, "does not take this token"),
        (&["runs", "list", "--as-of", "yesterday"], 2, "--as-of"),
        (&["rebuild", "-w", "nobody"], 2, "there are: main"),
        (&["rebuild", "--data-dir", nowhere], 2, "there is no ledger"),
        (&["catalog", "check", nowhere], 2, "cannot be read"),
        (&["catalog", "check", wrong], 1, "wrong-token:1:"),
    ] {
        let output = stand.ask(arguments).await;
        let said = format!("{}{}", out(&output), err(&output));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?} does not say {says}: {said}");
    }
}

#[tokio::test]
async fn the_only_workspace_is_meant_and_of_several_one_must_be_named() {
    let stand = Stand::on(None).await;
    stand.post("workspaces", json!({ "name": "other", "reason": "grows" })).await;
    let output = stand.ask(&["runs", "list"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("main, other; name one with --workspace"), "{}", err(&output));
    let output = stand.ask_after(&["runs", "list", "--workspace", "main"]).await;
    assert!(out(&output).contains(RUN), "{}", err(&output));
    let output = stand.program(&["runs", "list"]).env("RUNLEDGER_WORKSPACE", "other").output();
    let output = output.await.unwrap();
    assert_eq!((output.status.code(), out(&output)), (Some(0), ""));
    assert!(err(&output).contains("no runs are recorded yet"), "{}", err(&output));
}

#[tokio::test]
async fn a_followed_log_shows_what_comes() {
    let mut stand = Stand::on(None).await;
    let mut program = stand.program(&["log", "tail", "-n", "1", "-f", "--json"]);
    let mut program = program.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.unwrap()).unwrap()
    };
    assert_eq!(next().await["event"]["type"], "run.failed");
    stand.event("run.succeeded", json!({})).await;
    assert_eq!(next().await["event"]["type"], "run.late_signal");
}

#[tokio::test]
async fn read_models_are_rebuilt_beside_a_running_server_on_both_databases() {
    for database in [None, Some(ledger_database().await)] {
        let mut stand = Stand::on(database).await;
        let output = stand.ask(&["rebuild"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert!(out(&output).starts_with("main: rebuilt from "), "{}", out(&output));
        stand.event("run.succeeded", json!({})).await;
        let after = stand.ask_after(&["runs", "list", "--follow-up"]).await;
        assert!(out(&after).contains(RUN), "{} {}", out(&after), err(&after));
    }
}

#[tokio::test]
async fn a_flipped_byte_is_found_and_its_position_named_on_both_databases() {
    for database in [None, Some(ledger_database().await)] {
        let stand = Stand::on(database).await;
        stand.ask_after(&["overview"]).await;
        let output = stand.ask(&["verify"]).await;
        assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
        assert!(out(&output).contains("main: intact; "), "{}", out(&output));
        flip(&stand, stand.last.parse().unwrap()).await;
        let output = stand.ask(&["verify"]).await;
        assert_eq!(output.status.code(), Some(1), "{}{}", out(&output), err(&output));
        let named = format!("main: the event at position {}: ", stand.last);
        assert!(out(&output).contains(&named), "{}", out(&output));
        let output = stand.ask(&["verify", "--json"]).await;
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        let found: Value = serde_json::from_str(out(&output)).unwrap();
        assert_eq!(found["intact"], json!(false));
        let position = &found["workspaces"][0]["differences"][0]["position"];
        assert_eq!(position.to_string(), stand.last);
    }
}

/// Changes one byte of an event behind the ledger's back, as the owner of the database can.
async fn flip(stand: &Stand, position: i64) {
    const BODY: &str = "SELECT body FROM events WHERE position = $1";
    const CHANGE: &str = "UPDATE events SET body = $2 WHERE position = $1";
    let flipped = |mut body: Vec<u8>| {
        let at = body.windows(8).position(|bytes| bytes == b"no space").unwrap();
        body[at] ^= 1;
        body
    };
    if let Some(url) = &stand.database_url {
        let mut connection = sqlx::PgConnection::connect(&superuser(url)).await.unwrap();
        let unlock = "ALTER TABLE events DISABLE TRIGGER ALL";
        sqlx::query(unlock).execute(&mut connection).await.unwrap();
        let body =
            sqlx::query_scalar::<_, Vec<u8>>(BODY).bind(position).fetch_one(&mut connection).await;
        let change = sqlx::query(CHANGE).bind(position).bind(flipped(body.unwrap()));
        change.execute(&mut connection).await.unwrap();
        return;
    }
    let file = stand.directory.path().join("ledger.db");
    let mut connection = sqlx::SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::query("DROP TRIGGER events_no_update").execute(&mut connection).await.unwrap();
    let body =
        sqlx::query_scalar::<_, Vec<u8>>(BODY).bind(position).fetch_one(&mut connection).await;
    let change = sqlx::query(CHANGE).bind(position).bind(flipped(body.unwrap()));
    change.execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_no_success_and_a_reader_who_leaves_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let bad = directory.path().join("catalog.toml");
    std::fs::write(&bad, "oops = 1").unwrap();
    let bad = bad.to_str().unwrap();
    for (arguments, full, left) in
        [(&["catalog", "check"][..], 1, 0), (&["catalog", "check", bad], 1, 1)]
    {
        let out = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = bare_program(arguments).stdout(out).status().await.unwrap();
        assert_eq!(status.code(), Some(full), "{arguments:?} > /dev/full");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = bare_program(arguments).stdout(writer).status().await.unwrap();
        assert_eq!(status.code(), Some(left), "{arguments:?} into a closed pipe");
    }
}

#[tokio::test]
async fn what_serve_cannot_use_is_told_by_exit_code_two() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let file = |name: &str, text: &str| {
        std::fs::write(at(name), text).unwrap();
        at(name)
    };
    let (bad, text) = (file("catalog.toml", "oops = 1"), file("text", "no directory, no database"));
    std::fs::create_dir(at("junk")).unwrap();
    file("junk/admin-token", "my shopping list");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, named) in [
        (&["--catalog", "/nope"][..], "/nope"),
        (&["--catalog", &bad], &bad),
        (&["--data-dir", &at("text/below")], "text/below"),
        (&["--data-dir", &at("junk")], "admin-token"),
        (&["--database-url", &format!("sqlite:{text}")], &text),
        (&["--listen", &address], &address),
    ] {
        let data_dir = at("data");
        let mut all = vec!["serve"];
        if !arguments.contains(&"--data-dir") {
            all.extend(["--data-dir", &data_dir]);
        }
        all.extend(arguments);
        let output = bare_program(&all).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(named), "{arguments:?}: {}", err(&output));
    }
    // Nobody listens there any more. It may come back, so the setting is not at fault.
    drop(taken);
    let url = format!("postgres://ada:hunter2@{address}/ledger");
    let arguments = ["serve", "--data-dir", &at("data"), "--database-url", &url];
    let output = bare_program(&arguments).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let said = err(&output);
    assert!(said.contains(&address) && said.contains("refused"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("ada"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_the_server_is_asked() {
    for arguments in [
        &["runs", "list", "--limit", "0"][..],
        &["follow-ups", "--limit", "0"],
        &["runs", "list", "--as-of", "yesterday"],
        &["runs", "list", "--since", "yesterday"],
    ] {
        let output = bare_program(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
    }
    let directory = tempfile::tempdir().unwrap();
    let story = directory.path().join("story.toml");
    std::fs::write(&story, "name = 'a story'\n").unwrap();
    let output =
        bare_program(&["scenario", "test", story.to_str().unwrap()]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
}

#[tokio::test]
async fn a_run_that_is_not_there_is_a_no_by_its_whole_id_and_by_its_end() {
    let stand = Stand::on(None).await;
    for id in ["0192a0f4-7bde-7c3a-8f51-0d6c9e41b7ab", "9e41b7ab"] {
        let output = stand.ask(&["runs", "show", id]).await;
        assert_eq!(output.status.code(), Some(1), "{id}: {}", err(&output));
    }
    let file = std::fs::metadata(stand.directory.path().join("ledger.db")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o077, 0);
    let output = stand.ask(&["rebuild", "--json"]).await;
    let rebuilt: Value = serde_json::from_str(out(&output)).unwrap();
    assert_eq!(rebuilt["workspaces"][0]["workspace"], "main");
    let output = stand.ask(&["catalog", "check", "--json"]).await;
    let found: Value = serde_json::from_str(out(&output)).unwrap();
    assert_eq!(found["sound"], json!(true));
}

/// What `verify` says of a data directory that no server uses any more, and its exit code.
async fn verified(directory: &TempDir) -> (String, Option<i32>) {
    let data_dir = directory.path().to_str().unwrap();
    let output = bare_program(&["verify", "--data-dir", data_dir]).output().await.unwrap();
    (format!("{}{}", out(&output), err(&output)), output.status.code())
}

async fn on_file(directory: &TempDir, statement: &'static str) {
    let file = directory.path().join("ledger.db");
    let mut connection = sqlx::SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_byte_that_flips_in_an_index_is_found() {
    const ID: &str = "an-id-like-no-other";
    let stand = Stand::on(None).await;
    let event = json!({ "type": "run.dispatched", "id": ID, "source": "somebody",
        "data": { "operation": "backup.create" } });
    stand.post("workspaces/main/events", event).await;
    let Stand { server, directory, .. } = stand;
    server.kill().await.unwrap();
    on_file(&directory, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let file = directory.path().join("ledger.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let key = format!("somebody{ID}");
    // A page of the index holds the key, and no event.
    let holds =
        |page: &[u8], text: &str| page.windows(text.len()).position(|at| at == text.as_bytes());
    let page = bytes
        .chunks_mut(4096)
        .find(|page| holds(page, &key).is_some() && holds(page, "run.dispatched").is_none());
    let page = page.unwrap();
    let at = holds(page, ID).unwrap();
    page[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (said, code) = verified(&directory).await;
    assert!(said.contains("the database: ") && said.contains("events_id"), "{said}");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn a_directory_that_says_something_else_than_the_logs_is_found() {
    let Stand { server, directory, .. } = Stand::on(None).await;
    server.kill().await.unwrap();
    on_file(&directory, "UPDATE workspaces SET name = 'other'").await;
    let (said, code) = verified(&directory).await;
    assert!(said.contains("is called other, and its log says that it is main"), "{said}");
    assert_eq!(code, Some(1));
    on_file(&directory, "DELETE FROM workspaces").await;
    let (said, code) = verified(&directory).await;
    assert!(said.contains("which was made as main, and no name of it"), "{said}");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn read_models_that_are_not_there_yet_or_behind_are_told_and_keep_nobody_from_going_on() {
    let stand = Stand::on(None).await;
    stand.ask_after(&["overview"]).await;
    let Stand { server, directory, last, .. } = stand;
    server.kill().await.unwrap();
    // Recorded while nobody follows.
    let url = StoreUrl::SqliteFile(directory.path().join("ledger.db"));
    let ledger = Ledger::new(Store::open(&url).await.unwrap(), Clock::system(), Entropy::system());
    let young = Name::new("a-young-one").unwrap();
    ledger.create_workspace(&young, &Catalog::built_in()).await.unwrap();
    let main = ledger.store().workspace_by_name("main").await.unwrap().unwrap();
    let key = WorkerKey { connection: None, worker: Name::new("w1").unwrap() };
    let seen = WorkerReport::Seen { lease_seconds: 60, queues: Default::default() };
    let seen = Submission::new(Report::Worker(key, seen));
    ledger.submit(main, vec![seen], false).await.unwrap();
    ledger.store().close().await;
    let (said, code) = verified(&directory).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("a-young-one: intact; ") && said.contains("no read models yet"),
        "{said}"
    );
    let behind = format!("main: the read models reach position {last}; ");
    assert!(said.contains(&behind) && said.contains("1 events are not in them yet"), "{said}");
    let data_dir = directory.path().to_str().unwrap();
    let output =
        bare_program(&["verify", "--json", "--data-dir", data_dir]).output().await.unwrap();
    let found: Value = serde_json::from_str(out(&output)).unwrap();
    let [young, main] = [0, 1].map(|at| &found["workspaces"][at]["read_models"]);
    assert_eq!((&young["events"], &main["behind"]), (&Value::Null, &json!(1)), "{found}");
}

#[tokio::test]
async fn the_built_in_catalog_and_a_good_file_are_found_good() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ledger/catalog.toml");
    for arguments in [&["catalog", "check"][..], &["catalog", "check", file.to_str().unwrap()]] {
        let output = bare_program(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", out(&output));
        assert!(out(&output).contains("nothing is wrong"), "{}", out(&output));
    }
}

#[tokio::test]
async fn a_person_is_made_on_the_command_line_and_the_password_is_no_argument() {
    let stand = Stand::on(None).await;
    let typed = async |arguments: &[&str], typed: &str| {
        let mut program = stand.program(arguments);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = program.spawn().unwrap();
        let mut input = program.stdin.take().unwrap();
        input.write_all(typed.as_bytes()).await.unwrap();
        drop(input);
        program.wait_with_output().await.unwrap()
    };
    let add = ["users", "add", "ada", "--reason", "joins"];
    for wrong in ["", "short\n"] {
        let output = typed(&add, wrong).await;
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).contains("12 to 256 characters"), "{}", err(&output));
    }
    let output = typed(&add, "a horse of correct colour\n").await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("no role yet"), "{}", err(&output));
    let output = typed(&add, "a horse of correct colour\n").await;
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    let granted = stand.ask(&["roles", "grant", "ada", "viewer", "--reason", "looks"]).await;
    assert_eq!(granted.status.code(), Some(0), "{}", err(&granted));
    for (arguments, said) in [
        (&["users", "disable", "ada", "--reason", "on leave"][..], "cannot sign in"),
        (&["users", "list"], "disabled"),
        (&["users", "enable", "ada", "--reason", "is back"], "can sign in again"),
        (&["users", "list"], "active"),
        (&["users", "sessions", "ada"], "BROWSER"),
        (&["users", "sign-out", "ada", "--reason", "lost a phone"], "signed out"),
        (&["users", "remove", "ada", "--reason", "leaves"], "is gone"),
    ] {
        let output = stand.ask(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", err(&output));
        assert!(out(&output).contains(said), "{arguments:?}: {}", out(&output));
    }
    let output = stand.ask(&["users", "list"]).await;
    assert!(!out(&output).contains("ada"), "{}", out(&output));
}

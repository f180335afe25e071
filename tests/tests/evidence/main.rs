//! What an auditor does with the program alone, and with tools of others, after the server is gone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod by_hand;
mod gos_own_code;
mod keys;
mod packs;
mod record;
mod taken_away;
mod timestamps;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use runledger_tests::process::{ServerProcess, client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_runledger-under-test");

/// The data of a server whose log was signed, and what an auditor took from it.
struct Audit {
    directory: TempDir,
    /// A database on PostgreSQL; else it is the file beside the rest.
    database: Option<String>,
}

impl Audit {
    /// A log of 602 events. A server signs it when it ends, at the latest.
    async fn new() -> Audit {
        Audit::over(None).await
    }

    async fn over(database: Option<String>) -> Audit {
        let audit = Audit { directory: tempfile::tempdir().unwrap(), database };
        let server = audit.serve().await;
        let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
        let events: Vec<&Value> = std::iter::repeat_n(&event, 600).collect();
        let post = client().post(format!("{}/v1/workspaces/main/events", server.url));
        let post = post.bearer_auth(&server.token).header("content-type", "application/json");
        let answer = post.body(json!(events).to_string()).send().await.unwrap();
        assert!(answer.status().is_success());
        end(server).await;
        let policy = audit.ask(&["keys", "list", "--policy"]).await;
        std::fs::write(audit.path("trust.policy"), &policy.stdout).unwrap();
        audit
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn serve(&self) -> ServerProcess {
        let database = self.database.as_deref();
        ServerProcess::start(PROGRAM, &self.path("data"), database).await.unwrap()
    }

    /// The program, with the data directory of the server and in the auditor's own directory.
    async fn ask(&self, arguments: &[&str]) -> Output {
        let mut program = Command::new(PROGRAM);
        let settings = std::env::vars().map(|(name, _)| name);
        settings.filter(|name| name.starts_with("RUNLEDGER_")).for_each(|name| {
            program.env_remove(name);
        });
        program.env("RUNLEDGER_DATA_DIR", self.path("data")).current_dir(self.directory.path());
        program.envs(self.database.iter().map(|url| ("RUNLEDGER_DATABASE_URL", url)));
        program.args(arguments).stdin(Stdio::null()).output().await.unwrap()
    }

    /// What the program says, and its exit code.
    async fn says(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = self.ask(arguments).await;
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8(text).unwrap(), output.status.code())
    }

    #[track_caller]
    fn check(said: (String, Option<i32>), code: i32, words: &str) {
        assert_eq!(said.1, Some(code), "{}", said.0);
        assert!(said.0.contains(words), "{}", said.0);
    }

    async fn on_file(&self, statements: &[&'static str]) {
        use sqlx::Connection as _;
        if let Some(url) = &self.database {
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            let mut connection = runledger_tests::superuser_of(&pool).await;
            for statement in statements {
                sqlx::query(*statement).execute(&mut connection).await.unwrap();
            }
            return;
        }
        let file = self.path("data/ledger.db");
        let mut connection = sqlx::SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        for statement in statements {
            sqlx::query(*statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    }
}

/// Tells a server to end, and waits until it has.
async fn end(server: ServerProcess) {
    let id = server.id().unwrap().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    assert!(told.success());
    assert_eq!(server.ended().await.unwrap(), Some(0));
}

async fn keep(server: &ServerProcess, path: &str, file: &Path) -> String {
    let get = client().get(format!("{}/v1/workspaces/main/{path}", server.url));
    let answer = get.bearer_auth(&server.token).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}");
    let text = answer.text().await.unwrap();
    std::fs::write(file, &text).unwrap();
    text
}

#[tokio::test]
async fn whatever_an_auditor_verifies_the_exit_code_says_what_was_found() {
    let audit = Audit::new().await;
    // A stranger's key, with the name of this log.
    let name = std::fs::read_to_string(audit.path("trust.policy")).unwrap();
    let stranger = audit.ask(&["keys", "new", "--print"]).await;
    let stranger = String::from_utf8(stranger.stdout).unwrap();
    let mut program = Command::new(PROGRAM);
    program.args(["keys", "list", "--policy"]).env("RUNLEDGER_SIGNING_KEY", stranger.trim());
    let other = program.env("RUNLEDGER_DATA_DIR", audit.path("data")).output().await.unwrap();
    assert_ne!(other.stdout, name.as_bytes());
    std::fs::write(audit.path("other.policy"), &other.stdout).unwrap();
    let (trust, other) = (["--policy", "trust.policy"], ["--policy", "other.policy"]);
    let with = |what: &[&'static str], policy: [&'static str; 2]| [what, &policy[..]].concat();

    let server = audit.serve().await;
    let log = format!("{}/v1/workspaces/main/log", server.url);
    std::fs::write(audit.path("token"), &server.token).unwrap();
    keep(&server, "log/events/300/proof", &audit.path("300.tlog-proof")).await;
    keep(&server, "log/checkpoint", &audit.path("kept.txt")).await;
    let line = keep(&server, "log?from=300&limit=1", &audit.path("line")).await;
    let event = line.split_once("\"event\":").unwrap().1.trim_end().strip_suffix('}').unwrap();
    std::fs::write(audit.path("300.json"), format!("{event}\n")).unwrap();
    let url = ["verify", "url", &log, "--token-file", "token", "--checkpoint", "kept.txt"];
    let said = audit.says(&[&url[..], &trust[..]].concat()).await;
    Audit::check(said, 0, "intact; 602 events");
    let url = ["verify", "url", &log, "--token-file", "token"];
    let said = audit.says(&[&url[..], &other[..]].concat()).await;
    Audit::check(said, 3, "no key that the policy trusts");
    end(server).await;
    let said = audit.says(&[&url[..], &trust[..]].concat()).await;
    Audit::check(said, 2, "could not be read to its end");

    let receipt = &["verify", "receipt", "300.tlog-proof", "--event", "300.json"][..];
    Audit::check(audit.says(&with(receipt, trust)).await, 0, "the event is at position 300");
    Audit::check(audit.says(&with(receipt, other)).await, 3, "no key that the policy trusts");
    let wrong = &["verify", "receipt", "300.tlog-proof", "--event", "line"][..];
    Audit::check(audit.says(&with(wrong, trust)).await, 1, "position 300");
    let none = &["verify", "receipt", "line", "--event", "300.json"][..];
    Audit::check(audit.says(&with(none, trust)).await, 2, "no tlog-proof");

    let said = audit
        .says(&["audit", "export", "--reason", "a review", "-w", "main", "-o", "main.zip"])
        .await;
    Audit::check(said, 0, "602 events of a log of 602");
    let pack = &["verify", "pack", "main.zip"][..];
    Audit::check(audit.says(&with(pack, trust)).await, 0, "intact; 602 of 602 events");
    Audit::check(audit.says(&with(pack, other)).await, 3, "no key that the policy trusts");
    let said = audit
        .says(&["audit", "export", "--reason", "a review", "-w", "main", "-o", "main.zip"])
        .await;
    Audit::check(said, 2, "cannot be made");

    let database = &["verify", "database", "--checkpoint", "kept.txt"][..];
    Audit::check(audit.says(&with(database, trust)).await, 0, "the policy vouches for 602");
    Audit::check(audit.says(&with(&["verify", "database"], other)).await, 3, "nobody whom");
    // The end is cut off by somebody who knows what belongs to it, and what was signed of it too.
    audit
        .on_file(&[
            "DROP TRIGGER events_no_delete",
            "DROP TRIGGER checkpoints_no_delete",
            "DELETE FROM events WHERE position >= 500",
            "DELETE FROM checkpoints",
        ])
        .await;
    let said = audit.says(&with(database, trust)).await;
    Audit::check(said, 1, "the event at position 500: the log ends before it");
}

#[tokio::test]
async fn a_server_whose_log_is_not_what_it_signed_takes_nothing_and_says_why() {
    let audit = Audit::new().await;
    let delete = "DELETE FROM events WHERE position >= 500";
    // Put back, so that nothing is missing but the events: else the server would not start at all.
    let back = "CREATE TRIGGER events_no_delete BEFORE DELETE ON events\n\
                BEGIN SELECT RAISE(ABORT, 'events are immutable: DELETE is refused'); END";
    audit.on_file(&["DROP TRIGGER events_no_delete", delete, back]).await;
    let server = audit.serve().await;
    let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    let post = client().post(format!("{}/v1/workspaces/main/events", server.url));
    let post = post.bearer_auth(&server.token).header("content-type", "application/json");
    let answer = post.body(event.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "log_forked");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("until an operator has looked"), "{detail}");
    assert!(detail.contains("is missing"), "{detail}");
    // What is there can still be read.
    keep(&server, "log?from=499&limit=1", &audit.path("line")).await;
    end(server).await;
}

#[tokio::test]
async fn a_pack_that_a_server_makes_is_downloaded_and_verifies_without_it() {
    let audit = Audit::new().await;
    let server = audit.serve().await;
    std::fs::write(audit.path("token"), &server.token).unwrap();
    let request = ["audit", "request", "--url", &server.url, "--token-file", "token"];
    let request =
        [&request[..], &["-w", "main", "-o", "made.zip", "--reason", "a review"]].concat();
    Audit::check(audit.says(&request).await, 0, "602 events of a log of 602");
    Audit::check(audit.says(&request).await, 2, "made.zip is there already");
    end(server).await;
    let verify = ["verify", "pack", "made.zip", "--policy", "trust.policy"];
    Audit::check(audit.says(&verify).await, 0, "intact; 602 of 602 events");
}

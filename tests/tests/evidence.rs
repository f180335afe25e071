//! What an auditor does with the program alone, and with tools of others, after the server is gone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

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
}

impl Audit {
    /// A log of 602 events. A server signs it when it ends, at the latest.
    async fn new() -> Audit {
        let audit = Audit { directory: tempfile::tempdir().unwrap() };
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
        ServerProcess::start(PROGRAM, &self.path("data"), None).await.unwrap()
    }

    /// The program, with the data directory of the server and in the auditor's own directory.
    async fn ask(&self, arguments: &[&str]) -> Output {
        let mut program = Command::new(PROGRAM);
        let settings = std::env::vars().map(|(name, _)| name);
        settings.filter(|name| name.starts_with("RUNLEDGER_")).for_each(|name| {
            program.env_remove(name);
        });
        program.env("RUNLEDGER_DATA_DIR", self.path("data")).current_dir(self.directory.path());
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

    let said = audit.says(&["audit", "export", "-w", "main", "-o", "main.zip"]).await;
    Audit::check(said, 0, "602 events of a log of 602");
    let pack = &["verify", "pack", "main.zip"][..];
    Audit::check(audit.says(&with(pack, trust)).await, 0, "intact; 602 of 602 events");
    Audit::check(audit.says(&with(pack, other)).await, 3, "no key that the policy trusts");
    let said = audit.says(&["audit", "export", "-w", "main", "-o", "main.zip"]).await;
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
async fn keys_are_rotated_with_an_overlap_and_then_retired() {
    let audit = Audit::new().await;
    let keys = async || {
        let listed = audit.ask(&["keys", "list"]).await;
        let listed = String::from_utf8(listed.stdout).unwrap();
        listed.lines().filter(|line| line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let first = keys().await;
    assert_eq!(first.len(), 1);
    Audit::check(audit.says(&["keys", "rotate"]).await, 0, "replaced");
    let both = keys().await;
    assert_eq!((both.len(), &both[1]), (2, &first[0]));
    end(audit.serve().await).await;
    // The log says so, in one event. Who trusts the old key and who trusts the new one both can go on.
    let said = audit.says(&["verify", "database", "--policy", "trust.policy"]).await;
    Audit::check(said, 0, "vouches for 603");
    Audit::check(audit.says(&["keys", "retire"]).await, 0, "replaced");
    assert_eq!(keys().await, both[..1]);
    let policy = audit.ask(&["keys", "list", "--policy"]).await;
    std::fs::write(audit.path("new.policy"), &policy.stdout).unwrap();
    let said = audit.says(&["verify", "database", "--policy", "new.policy"]).await;
    Audit::check(said, 0, "vouches for 603");
    Audit::check(audit.says(&["keys", "new"]).await, 2, "there are keys in");
}

/// The packages of Go's own tool chain that the check needs: its notes, its logs and their
/// signatures. They come with the compiler, so nothing is downloaded.
const OF_GO: &[(&str, &[&str])] =
    &[("golang.org/x/mod", &["sumdb/note", "sumdb/tlog"]), ("golang.org/x/crypto", &["ed25519"])];

#[tokio::test]
async fn gos_own_code_verifies_a_pack_and_finds_what_was_changed() {
    let audit = Audit::new().await;
    audit.ask(&["audit", "export", "-w", "main", "-o", "main.zip"]).await;
    let pack = std::fs::read(audit.path("main.zip")).unwrap();
    for (name, bytes) in runledger_proof::zip::read(&pack).unwrap() {
        let path = audit.path("pack").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let check = built(&audit).await;
    let policy = std::fs::read_to_string(audit.path("trust.policy")).unwrap();
    let key = policy.lines().find_map(|line| line.strip_prefix("log ")).unwrap();
    let run = async || {
        let output =
            Command::new(&check).arg(audit.path("pack/tlog")).arg(key).output().await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (said, output.status.code())
    };
    Audit::check(run().await, 0, "intact: 602 entries");
    let bundle = audit.path("pack/tlog/tile/entries/001");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(bundle, bytes).unwrap();
    let (said, code) = run().await;
    assert!(code == Some(1) && said.contains("the entry at position 25"), "{said}");
}

/// The program of `docs/verify-with-go`, built with what the compiler brings along.
async fn built(audit: &Audit) -> PathBuf {
    let go = async |arguments: &[&str], home: &Path| {
        let mut go = Command::new("go");
        go.args(arguments).current_dir(home).env("GOFLAGS", "-mod=vendor").env("GOPROXY", "off");
        go.env("GOCACHE", home.join("cache")).env("GOWORK", "off").output().await.unwrap()
    };
    let home = audit.path("go");
    std::fs::create_dir(&home).unwrap();
    let root = go(&["env", "GOROOT"], &home).await;
    let root = PathBuf::from(String::from_utf8(root.stdout).unwrap().trim());
    let mut module = "module check\n\ngo 1.19\n".to_owned();
    let mut vendored = String::new();
    for (name, packages) in OF_GO {
        module += &format!("require {name} v0.0.0\n");
        vendored += &format!("# {name} v0.0.0\n## explicit\n");
        for package in *packages {
            vendored += &format!("{name}/{package}\n");
            let from = root.join("src/cmd/vendor").join(name).join(package);
            let to = home.join("vendor").join(name).join(package);
            std::fs::create_dir_all(&to).unwrap();
            for file in std::fs::read_dir(&from).unwrap() {
                let file = file.unwrap().path();
                std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    std::fs::write(home.join("go.mod"), module).unwrap();
    std::fs::write(home.join("vendor/modules.txt"), vendored).unwrap();
    let program = include_str!("../../docs/verify-with-go/main.go");
    std::fs::write(home.join("main.go"), program).unwrap();
    let done = go(&["build", "-o", "check", "."], &home).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    home.join("check")
}

#[tokio::test]
async fn a_pack_that_a_server_makes_is_downloaded_and_verifies_without_it() {
    let audit = Audit::new().await;
    let server = audit.serve().await;
    std::fs::write(audit.path("token"), &server.token).unwrap();
    let request = ["audit", "request", "--url", &server.url, "--token-file", "token"];
    let request = [&request[..], &["-w", "main", "-o", "made.zip"]].concat();
    Audit::check(audit.says(&request).await, 0, "602 events of a log of 602");
    Audit::check(audit.says(&request).await, 2, "made.zip is there already");
    end(server).await;
    let verify = ["verify", "pack", "made.zip", "--policy", "trust.policy"];
    Audit::check(audit.says(&verify).await, 0, "intact; 602 of 602 events");
}

#[tokio::test]
async fn two_people_erase_and_every_verification_says_intact_and_names_what() {
    const SECRET: &str = "anna.secret@example.test";
    let audit = Audit::new().await;
    let server = audit.serve().await;
    std::fs::write(audit.path("token"), &server.token).unwrap();
    let run = "0195f3c0-0000-7000-8000-000000000001";
    let events = json!([
        {"type": "run.dispatched", "run_id": run, "data": {"operation": "backup.create"}},
        {"type": "run.failed", "run_id": run, "data": {"reason_code": "full", "message": SECRET}},
    ]);
    let post = client().post(format!("{}/v1/workspaces/main/events", server.url));
    let post = post.bearer_auth(&server.token).header("content-type", "application/json");
    assert!(post.body(events.to_string()).send().await.unwrap().status().is_success());
    let url = server.url.clone();
    let of = |token: &'static str| ["--url", &url, "--workspace", "main", "--token-file", token];
    let bert = ["tokens", "new", "bert", "--role", "admin", "--reason", "a second person"];
    let bert = audit.ask(&[&bert[..], &of("token")].concat()).await.stdout;
    std::fs::write(audit.path("bert"), bert).unwrap();

    let why = ["--reason", "she asked for it", "--legal-basis", "GDPR Art. 17(1)(b)"];
    let asked = ["erase", "request", "--run", run];
    let asked = audit.ask(&[&asked[..], &why, &of("token")].concat()).await;
    let id = String::from_utf8(asked.stdout).unwrap();
    let id = id.trim();
    let alone = audit.says(&[&["erase", "approve", id][..], &of("token")].concat()).await;
    Audit::check(alone, 3, "may not approve it");
    let early = audit.says(&[&["erase", "run", id][..], &of("token")].concat()).await;
    Audit::check(early, 3, "nobody has approved it yet");
    let approved = audit.says(&[&["erase", "approve", id][..], &of("bert")].concat()).await;
    Audit::check(approved, 0, "is approved: 2 events");
    let done = audit.says(&[&["erase", "run", id][..], &of("token")].concat()).await;
    Audit::check(done, 0, "2 bodies are erased; every proof still holds");
    let listed = audit.says(&[&["erase", "list"][..], &of("token")].concat()).await;
    Audit::check(listed, 0, "completed");
    end(server).await;

    let file = std::fs::read(audit.path("data/ledger.db")).unwrap();
    assert!(!file.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    let named = format!("erased at 602 to 603, by {id}");
    let server = audit.serve().await;
    let log = format!("{}/v1/workspaces/main/log", server.url);
    let verify = ["verify", "url", &log, "--token-file", "token", "--policy", "trust.policy"];
    let said = audit.says(&verify).await;
    Audit::check(said.clone(), 0, "intact");
    Audit::check(said, 0, &named);
    end(server).await;
    Audit::check(audit.says(&["verify", "database"]).await, 0, &named);
    let export = ["audit", "export", "-w", "main", "-o", "erased.zip"];
    Audit::check(audit.says(&export).await, 0, "erased.zip");
    let pack = ["verify", "pack", "erased.zip", "--policy", "trust.policy"];
    Audit::check(audit.says(&pack).await, 0, &named);
    let part = ["audit", "export", "--run", run, "-w", "main", "-o", "run.zip"];
    Audit::check(audit.says(&part).await, 0, "run.zip");
    let pack = ["verify", "pack", "run.zip", "--policy", "trust.policy"];
    Audit::check(audit.says(&pack).await, 0, &named);
    // The same body in another place, or a body that nobody ordered to go, is tampering.
    audit
        .on_file(&[
            "DROP TRIGGER events_no_update",
            "UPDATE events SET body = (SELECT body FROM events WHERE position = 603) \
             WHERE position = 30",
        ])
        .await;
    Audit::check(audit.says(&["verify", "database"]).await, 1, "the event at position 30:");
}

#[tokio::test]
async fn the_log_says_which_keys_sign_it_and_who_made_a_pack() {
    let audit = Audit::new().await;
    let keys = async || {
        let listed = audit.ask(&["keys", "list"]).await;
        let listed = String::from_utf8(listed.stdout).unwrap();
        let keys = listed.lines().filter_map(|line| line.strip_prefix("  "));
        keys.map(str::to_owned).collect::<Vec<String>>()
    };
    let events = async |from: u64| {
        let server = audit.serve().await;
        let log = keep(&server, &format!("log?from={from}"), &audit.path("log")).await;
        end(server).await;
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let events = lines.map(|line| line["event"].clone());
        events.filter(|event| event["type"] == "key.rotated").collect::<Vec<Value>>()
    };
    let old = keys().await;
    assert!(events(0).await.is_empty(), "nothing was replaced");
    assert!(audit.ask(&["keys", "rotate"]).await.status.success());
    let both = keys().await;
    assert_eq!((both.len(), &both[1..]), (2, &old[..]));
    let rotated = events(602).await;
    assert_eq!(rotated.len(), 1, "once: {rotated:?}");
    assert_eq!(rotated[0]["data"]["added"], json!([both[0]]));
    assert_eq!(rotated[0]["data"]["keys"], json!(both));
    assert_eq!(rotated[0]["actor"], json!({"id": "signer", "kind": "system"}));
    assert!(audit.ask(&["keys", "retire"]).await.status.success());

    let export =
        ["audit", "export", "-o", "main.zip", "--requester", "Jane", "--reason", "a review"];
    let said = audit.says(&export).await;
    Audit::check((said.0.clone(), said.1), 0, "manifest ");
    let manifest = said.0.split("manifest ").nth(1).unwrap().trim().to_owned();
    // The log has grown, and the next checkpoint is signed by the new key alone.
    let rotated = events(602).await;
    assert_eq!(rotated.len(), 2, "{rotated:?}");
    let id = old[0].split('+').nth(1).unwrap();
    assert_eq!(rotated[1]["data"], json!({"keys": [both[0]], "retired": [id]}));
    let server = audit.serve().await;
    let log = keep(&server, "log?from=602", &audit.path("log")).await;
    end(server).await;
    let read = log.lines().find(|line| line.contains("\"audit_pack.read\"")).unwrap();
    let read: Value = serde_json::from_str(read).unwrap();
    assert_eq!(read["event"]["actor"]["id"], "Jane");
    assert_eq!(read["event"]["data"]["reason"], "a review");
    assert_eq!(read["event"]["data"]["manifest"], manifest);
    Audit::check(audit.says(&["verify", "database"]).await, 0, "main: intact");
}

#[tokio::test]
async fn bodies_are_archived_read_elsewhere_and_put_back_by_commands() {
    let audit = Audit { directory: tempfile::tempdir().unwrap() };
    let server = audit.serve().await;
    let run =
        |number: u128| uuid::Uuid::from_u128(0x0195_f3c1_0000_7000_8000_0000_0000_0000 + number);
    let events = |number: u128| {
        let operation = json!({"operation": "backup.create"});
        [
            json!({"type": "run.dispatched", "run_id": run(number), "data": operation}),
            json!({"type": "run.cancelled", "run_id": run(number), "data": {}}),
        ]
    };
    let all: Vec<Value> = (0..300).flat_map(events).collect();
    let post = client().post(format!("{}/v1/workspaces/main/events", server.url));
    let post = post.bearer_auth(&server.token).header("content-type", "application/json");
    assert!(post.body(json!(all).to_string()).send().await.unwrap().status().is_success());
    // The read models have folded all of it.
    let before = keep(&server, "runs?after=601&limit=3", &audit.path("runs")).await;
    end(server).await;
    let policy = audit.ask(&["keys", "list", "--policy"]).await;
    std::fs::write(audit.path("trust.policy"), &policy.stdout).unwrap();

    let export = ["archive", "export", "--through", "600", "--to", "first"];
    Audit::check(audit.says(&export).await, 0, "first: written; positions 0 to 511 of runledger/");
    Audit::check(audit.says(&export).await, 0, "was there already");
    let verify = ["archive", "verify", "first", "--policy", "trust.policy"];
    Audit::check(audit.says(&verify).await, 0, "first: intact; positions 0 to 511");
    std::fs::rename(audit.path("first/tile/0/000"), audit.path("tile")).unwrap();
    Audit::check(audit.says(&verify).await, 2, "tile/0/000 is missing");
    std::fs::rename(audit.path("tile"), audit.path("first/tile/0/000")).unwrap();
    let bundle = audit.path("first/tile/entries/001");
    let whole = std::fs::read(&bundle).unwrap();
    let mut changed = whole.clone();
    changed[99] ^= 1;
    std::fs::write(&bundle, changed).unwrap();
    Audit::check(audit.says(&verify).await, 1, "the entry at position 256");
    let drop = ["archive", "drop", "first", "--by", "Ada", "--reason", "a year is over"];
    Audit::check(audit.says(&drop).await, 1, "is not intact");
    std::fs::write(&bundle, whole).unwrap();
    std::fs::write(audit.path("none.policy"), "quorum none\n").unwrap();
    let stranger = ["archive", "verify", "first", "--policy", "none.policy"];
    Audit::check(audit.says(&stranger).await, 3, "not believed");
    Audit::check(audit.says(&drop).await, 0, "main: 510 bodies of positions 0 to 511");
    Audit::check(audit.says(&drop).await, 0, "510 bodies");

    let database = ["verify", "database", "--policy", "trust.policy"];
    Audit::check(audit.says(&database).await, 0, "read there, and are what was recorded");
    let listed = audit.says(&["archive", "list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed.0).unwrap();
    let one = &listed[0]["archives"][0];
    assert_eq!((&one["from"], &one["to"], &one["bodies"]), (&json!(0), &json!(512), &json!(510)));
    assert_eq!((&one["state"], &one["ordered_by"]), (&json!("archived"), &json!("Ada")));
    assert_eq!(one["reason"], "a year is over");

    // The directory is moved away, and named where it is.
    std::fs::rename(audit.path("first"), audit.path("moved")).unwrap();
    let said = audit.says(&database).await;
    Audit::check((said.0.clone(), said.1), 2, "main: intact as far as it was read");
    assert!(said.0.contains("0 of them read there") && said.0.contains("/first"), "{}", said.0);
    Audit::check(audit.says(&["rebuild"]).await, 1, "cannot be read there");
    let named = [&database[..], &["--archive", "moved"]].concat();
    Audit::check(audit.says(&named).await, 0, "read there, and are what was recorded");
    // Altered, it is believed by nobody, and put back by nobody.
    let entries = audit.path("moved").join("tile/entries/000");
    let whole = std::fs::read(&entries).unwrap();
    let word = b"run.dispatched";
    let at = whole.windows(word.len()).position(|part| part == word).unwrap();
    let mut altered = whole.clone();
    altered[at] ^= 1;
    std::fs::write(&entries, altered).unwrap();
    let said = audit.says(&named).await;
    Audit::check(said, 1, "the archive that its bytes are in holds others there");
    let restore = ["archive", "restore", "moved", "--by", "Ada", "--reason", "an audit"];
    Audit::check(audit.says(&restore).await, 1, "moved: ");
    std::fs::write(&entries, whole).unwrap();
    Audit::check(audit.says(&named).await, 0, "read there, and are what was recorded");
    Audit::check(audit.says(&["rebuild", "--archive", "moved"]).await, 0, "rebuilt from");
    let server = audit.serve().await;
    let after = keep(&server, "runs?limit=3", &audit.path("runs")).await;
    let runs = |text: &str| serde_json::from_str::<Value>(text).unwrap()["items"].clone();
    assert_eq!(runs(&before)[0]["recorded"], runs(&after)[0]["recorded"]);
    std::fs::write(audit.path("token"), &server.token).unwrap();
    let log = format!("{}/v1/workspaces/main/log", server.url);
    let url = ["verify", "url", &log, "--token-file", "token", "--policy", "trust.policy"];
    let said = audit.says(&url).await;
    Audit::check((said.0.clone(), said.1), 2, "intact as far as it was read");
    assert!(said.0.contains("not read from position 0 on"), "{}", said.0);
    let with = [&url[..], &["--archive", "moved"]].concat();
    Audit::check(audit.says(&with).await, 0, "intact; ");
    let late = json!({"type": "run.succeeded", "run_id": run(0), "data": {}}).to_string();
    let tell = |body: String| {
        let post = client().post(format!("{}/v1/workspaces/main/events", server.url));
        let post = post.bearer_auth(&server.token).header("content-type", "application/json");
        post.body(body).send()
    };
    let refused = tell(late.clone()).await.unwrap();
    assert_eq!(refused.status(), 410);
    let refused = refused.text().await.unwrap();
    assert!(
        refused.contains("\"archived\"") && refused.contains("nothing was recorded"),
        "{refused}"
    );
    // Where it was put it is found at once.
    std::fs::rename(audit.path("moved"), audit.path("first")).unwrap();
    assert_eq!(tell(late).await.unwrap().status(), 201);
    Audit::check(audit.says(&url).await, 0, "intact; ");
    end(server).await;
    let restore = ["archive", "restore", "first", "--by", "Ada", "--reason", "an audit"];
    Audit::check(audit.says(&restore).await, 0, "are in the database again");
    std::fs::remove_dir_all(audit.path("first")).unwrap();
    let said = audit.says(&database).await;
    Audit::check((said.0.clone(), said.1), 0, "main: intact");
    assert!(!said.0.contains("archived at"), "{}", said.0);
    Audit::check(audit.says(&restore).await, 1, "");
}

//! What is not in the database any more: bodies that two people had erased, and archived ones.

use runledger_tests::process::client;
use serde_json::{Value, json};

use crate::{Audit, end, keep};

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
    let alone = audit
        .says(&[&["erase", "approve", id, "--reason", "checked"][..], &of("token")].concat())
        .await;
    Audit::check(alone, 3, "may not approve it");
    let early = audit.says(&[&["erase", "run", id][..], &of("token")].concat()).await;
    Audit::check(early, 3, "nobody has approved it yet");
    let approved = audit
        .says(&[&["erase", "approve", id, "--reason", "checked"][..], &of("bert")].concat())
        .await;
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
    let export = ["audit", "export", "--reason", "a review", "-w", "main", "-o", "erased.zip"];
    Audit::check(audit.says(&export).await, 0, "erased.zip");
    let pack = ["verify", "pack", "erased.zip", "--policy", "trust.policy"];
    Audit::check(audit.says(&pack).await, 0, &named);
    let part =
        ["audit", "export", "--reason", "a review", "--run", run, "-w", "main", "-o", "run.zip"];
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
async fn bodies_are_archived_read_elsewhere_and_put_back_by_commands() {
    let audit = Audit { directory: tempfile::tempdir().unwrap(), database: None };
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
    std::fs::write(audit.path("first/tile/notes.txt"), "x").unwrap();
    Audit::check(audit.says(&verify).await, 0, "the file tile/notes.txt is beside it");
    std::fs::remove_file(audit.path("first/tile/notes.txt")).unwrap();
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
    let path = audit.path("first/manifest.json");
    let manifest = std::fs::read(&path).unwrap();
    let mut other: Value = serde_json::from_slice(&manifest).unwrap();
    other["workspace"] = json!(uuid::Uuid::nil());
    std::fs::write(&path, other.to_string()).unwrap();
    Audit::check(audit.says(&verify).await, 1, "names another workspace");
    std::fs::write(&path, manifest).unwrap();
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
    // A directory in which it lies will do.
    let above = [&url[..], &["--archive", "."]].concat();
    Audit::check(audit.says(&above).await, 0, "intact; ");
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
    // What was read of it before is not read any more when it was taken away.
    let first = async || keep(&server, "log?from=300&limit=1", &audit.path("line")).await;
    for (is_there, from, to) in [(true, "first", "moved"), (false, "moved", "first")] {
        let line = first().await;
        assert_eq!(line.contains("\"event\":{"), is_there, "{line}");
        std::fs::rename(audit.path(from), audit.path(to)).unwrap();
    }
    assert!(first().await.contains("\"event\":{"));
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

//! Keys that are replaced, and what the log says of it.

use runledger_tests::process::client;
use serde_json::{Value, json};

use crate::{Audit, end, keep};

pub(crate) const ROTATE: [&str; 6] =
    ["keys", "rotate", "--by", "Ada", "--reason", "the yearly change"];
pub(crate) const RETIRE: [&str; 6] =
    ["keys", "retire", "--by", "Bert", "--reason", "all have the policy"];

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
    Audit::check(audit.says(&["keys", "rotate"]).await, 2, "--by <NAME>");
    let blank = audit.says(&["keys", "rotate", "--by", "Ada", "--reason", " "]).await;
    Audit::check(blank, 2, "a reason of blanks says nothing");
    assert_eq!(keys().await, first, "nothing was done without a reason");
    Audit::check(audit.says(&ROTATE).await, 0, "replaced");
    let both = keys().await;
    assert_eq!((both.len(), &both[1]), (2, &first[0]));
    end(audit.serve().await).await;
    // The log says so, in one event. Who trusts the old key and who trusts the new one both can go on.
    let said = audit.says(&["verify", "database", "--policy", "trust.policy"]).await;
    Audit::check(said, 0, "vouches for 603");
    Audit::check(audit.says(&RETIRE).await, 0, "replaced");
    Audit::check(audit.says(&RETIRE).await, 0, "nothing is to be retired");
    assert_eq!(keys().await, both[..1]);
    let policy = audit.ask(&["keys", "list", "--policy"]).await;
    std::fs::write(audit.path("new.policy"), &policy.stdout).unwrap();
    let said = audit.says(&["verify", "database", "--policy", "new.policy"]).await;
    Audit::check(said, 0, "vouches for 603");
    Audit::check(audit.says(&["keys", "new"]).await, 2, "there are keys in");
    // What is signed now, whoever trusts the old key alone has no word for.
    let server = audit.serve().await;
    let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    let post = client().post(format!("{}/v1/workspaces/main/events", server.url));
    let post = post.bearer_auth(&server.token).header("content-type", "application/json");
    assert!(post.body(event.to_string()).send().await.unwrap().status().is_success());
    end(server).await;
    let server = audit.serve().await;
    keep(&server, "log/checkpoint", &audit.path("last.txt")).await;
    end(server).await;
    let said = audit.says(&["verify", "database", "--policy", "trust.policy"]).await;
    Audit::check(said, 3, "the last one among them");
    let kept = ["verify", "database", "--policy", "trust.policy", "--checkpoint", "last.txt"];
    Audit::check(audit.says(&kept).await, 3, "the checkpoint in last.txt is not believed");
    let said = audit.says(&["verify", "database", "--policy", "new.policy"]).await;
    Audit::check(said, 0, "the policy vouches for");
}

#[tokio::test]
async fn a_checkpoint_that_was_altered_and_a_log_that_is_gone_are_tampering() {
    let audit = Audit::new().await;
    let verify = ["verify", "database", "--policy", "trust.policy"];
    Audit::check(audit.says(&verify).await, 0, "main: intact");
    let altered =
        ["DROP TRIGGER checkpoints_no_update", "UPDATE checkpoints SET root = zeroblob(32)"];
    audit.on_file(&altered).await;
    Audit::check(audit.says(&verify).await, 1, "its row and its note have different roots");
    audit.on_file(&["UPDATE checkpoints SET note = zeroblob(99)"]).await;
    Audit::check(audit.says(&verify).await, 1, "is not what was signed: ");
    audit
        .on_file(&[
            "PRAGMA foreign_keys = OFF",
            "DROP TRIGGER events_no_delete",
            "DROP TRIGGER checkpoints_no_delete",
            "DROP TRIGGER heads_no_delete",
            "DELETE FROM events",
            "DELETE FROM checkpoints",
            "DELETE FROM heads",
            "DELETE FROM workspaces",
        ])
        .await;
    let said = audit.says(&verify).await;
    Audit::check(said, 1, "is not in it, and a checkpoint of 602 events of it was signed");
    std::fs::write(crate::record::written(&audit), "x").unwrap();
    Audit::check(audit.says(&verify).await, 1, "its last lines say nothing");
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
    assert!(audit.ask(&ROTATE).await.status.success());
    let both = keys().await;
    assert_eq!((both.len(), &both[1..]), (2, &old[..]));
    let rotated = events(602).await;
    assert_eq!(rotated.len(), 1, "once: {rotated:?}");
    assert_eq!(rotated[0]["data"]["added"], json!([both[0]]));
    assert_eq!(rotated[0]["data"]["keys"], json!(both));
    assert_eq!(rotated[0]["data"]["reason"], "the yearly change");
    assert_eq!(rotated[0]["actor"], json!({"id": "Ada", "kind": "user"}));
    assert!(audit.ask(&RETIRE).await.status.success());

    let export =
        ["audit", "export", "-o", "main.zip", "--requester", "Jane", "--reason", "a review"];
    let said = audit.says(&export).await;
    Audit::check((said.0.clone(), said.1), 0, "manifest ");
    let manifest = said.0.split("manifest ").nth(1).unwrap().trim().to_owned();
    // The log has grown, and the next checkpoint is signed by the new key alone.
    let rotated = events(602).await;
    assert_eq!(rotated.len(), 2, "{rotated:?}");
    let id = old[0].split('+').nth(1).unwrap();
    let said = json!({"keys": [both[0]], "retired": [id], "reason": "all have the policy"});
    assert_eq!(rotated[1]["data"], said);
    assert_eq!(rotated[1]["actor"]["id"], "Bert");
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
async fn keys_that_are_rotated_and_retired_before_anything_is_signed_are_told_of_once_each() {
    let audit = Audit::new().await;
    assert!(audit.ask(&ROTATE).await.status.success());
    assert!(audit.ask(&RETIRE).await.status.success());
    let server = audit.serve().await;
    let log = keep(&server, "log?from=602", &audit.path("log")).await;
    end(server).await;
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rotated = lines.filter(|line| line["event"]["type"] == "key.rotated");
    let told: Vec<Value> = rotated.map(|line| line["event"]["data"].clone()).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0]["added"].as_array().unwrap().len(), 1);
    assert!(told[1].get("added").is_none() && told[1]["retired"].as_array().unwrap().len() == 1);
    assert_eq!(told[1]["keys"], told[0]["added"]);
    Audit::check(audit.says(&["verify", "database"]).await, 0, "main: intact");
}

#[tokio::test]
async fn keys_that_a_server_finds_replaced_are_told_as_that() {
    let audit = Audit::new().await;
    let file = audit.path("data").join("signing-key");
    let before = std::fs::read(&file).unwrap();
    assert!(audit.ask(&ROTATE).await.status.success());
    std::fs::write(&file, before).unwrap();
    let server = audit.serve().await;
    let log = keep(&server, "log?from=602", &audit.path("log")).await;
    end(server).await;
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rotated = lines.filter(|line| line["event"]["type"] == "key.rotated");
    let told: Vec<Value> = rotated.map(|line| line["event"].clone()).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[1]["actor"], json!({"id": "signer", "kind": "system"}));
    let why = told[1]["data"]["reason"].as_str().unwrap();
    assert!(why.contains("was given other signing keys"), "{why}");
}

#[tokio::test]
async fn an_administrators_token_that_is_made_again_is_in_the_log() {
    let audit = Audit::new().await;
    std::fs::remove_file(audit.path("data").join("admin-token")).unwrap();
    for _ in 0..2 {
        let server = audit.serve().await;
        let log = keep(&server, "log?from=602", &audit.path("log")).await;
        end(server).await;
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let made = lines.filter(|line| line["event"]["type"] == "token.created");
        let made: Vec<Value> = made.map(|line| line["event"].clone()).collect();
        assert_eq!(made.len(), 1, "once, and not at the next start: {log}");
        assert_eq!(made[0]["actor"], json!({"id": "server", "kind": "system"}));
        assert_eq!(made[0]["data"]["holder"], "administrator");
        assert!(made[0]["data"]["reason"].as_str().unwrap().contains("admin-token"));
    }
}

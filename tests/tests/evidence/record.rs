//! What a server has written down of what it signed, and a database or a key that does not fit it.

use std::path::PathBuf;
use std::time::Duration;

use rstest::rstest;
use runledger_tests::process::client;
use serde_json::{Value, json};

use crate::{Audit, end, keep};

/// What a server that does not start is done with long before.
const PATIENCE: Duration = Duration::from_secs(60);
const VERIFY: [&str; 4] = ["verify", "database", "--policy", "trust.policy"];

async fn audit(on_postgresql: bool) -> Audit {
    Audit::over(match on_postgresql {
        true => Some(runledger_tests::ledger_database().await),
        false => None,
    })
    .await
}

/// What a server says that does not start.
async fn refused(audit: &Audit) -> String {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--allow-unsafe", "durability"];
    let said = tokio::time::timeout(PATIENCE, audit.says(&serve)).await;
    let (said, code) = said.expect("the server started, and should not have");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("checkpoints cannot be signed"), "{said}");
    said
}

/// The file of the log that was signed.
pub(crate) fn written(audit: &Audit) -> PathBuf {
    let files = std::fs::read_dir(audit.path("data/signed")).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    files.find(|path| path.extension().is_some_and(|end| end == "signed")).unwrap()
}

/// The events of a type at the end of the log of a server that does start.
async fn told(audit: &Audit, kind: &str) -> Vec<Value> {
    let server = audit.serve().await;
    let log = keep(&server, "log?limit=1000", &audit.path("log")).await;
    end(server).await;
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["event"].clone()).filter(|event| event["type"] == kind).collect()
}

async fn grow(audit: &Audit) {
    let server = audit.serve().await;
    let event = json!({"type": "run.dispatched", "data": {"operation": "backup.create"}});
    let post = client().post(format!("{}/v1/workspaces/main/events", server.url));
    let post = post.bearer_auth(&server.token).header("content-type", "application/json");
    assert!(post.body(event.to_string()).send().await.unwrap().status().is_success());
    end(server).await;
}

#[rstest]
#[case::sqlite(false)]
#[case::postgresql(true)]
#[tokio::test]
async fn a_server_does_not_begin_where_its_record_is_gone_until_somebody_accepts_the_log(
    #[case] on_postgresql: bool,
) {
    let audit = audit(on_postgresql).await;
    if on_postgresql {
        // What a server that has just gone may have left: for as long, another one may be there.
        audit.on_file(&["DELETE FROM leases"]).await;
    }
    let file = written(&audit);
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(refused(&audit).await.contains("that file is gone"));
    let said = audit.says(&VERIFY).await;
    Audit::check(said, 2, "that file is gone: whether the database still has all");
    std::fs::remove_dir_all(audit.path("data/signed")).unwrap();
    let said = refused(&audit).await;
    assert!(said.contains("nothing of it is written down in"), "{said}");
    assert!(said.contains("runledger database accept"), "{said}");
    Audit::check(audit.says(&VERIFY).await, 2, "that file is gone");

    let accept = ["database", "accept", "--by", "Ada", "--reason", "the disk was new"];
    Audit::check(audit.says(&accept).await, 0, "main: accepted as it was signed with 602 events");
    let after = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        after.split(' ').take(2).collect::<Vec<_>>(),
        before.split(' ').take(2).collect::<Vec<_>>()
    );
    Audit::check(audit.says(&accept).await, 0, "nothing is to be accepted");
    let events = told(&audit, "checkpoint.accepted").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["actor"], json!({"id": "Ada", "kind": "user"}));
    assert_eq!(events[0]["data"]["size"], 602);
    assert_eq!(events[0]["data"]["reason"], "the disk was new");
    assert!(events[0]["data"].get("instead_of").is_none());
    Audit::check(audit.says(&VERIFY).await, 0, "main: intact; 603 events");
}

#[rstest]
#[case::sqlite(false)]
#[case::postgresql(true)]
#[tokio::test]
async fn a_server_does_not_begin_over_a_database_that_was_wiped(#[case] on_postgresql: bool) {
    let mut audit = audit(on_postgresql).await;
    let log = written(&audit).file_stem().unwrap().to_str().unwrap().to_owned();
    if on_postgresql {
        // One that was made anew is as empty.
        audit.database = Some(runledger_tests::ledger_database().await);
    } else {
        for end in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(audit.path(&format!("data/ledger.db{end}"))));
        }
    }
    let said = refused(&audit).await;
    assert!(said.contains("was signed with 602 events") && said.contains("it was wiped"), "{said}");
    // Nor does it on a second attempt: the first one has recorded nothing.
    assert!(refused(&audit).await.contains("was signed with 602 events"));
    let said = audit.says(&["verify", "database"]).await;
    Audit::check(said, 1, "is not in it, and a checkpoint of 602 events of it was signed");
    let lost = ["database", "accept", "--by", "Ada", "--reason", "a test", "--lost", &log];
    Audit::check(audit.says(&lost).await, 0, "602 events is lost");
    let events = told(&audit, "checkpoint.accepted").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["data"]["instead_of"]["log"], json!(log));
    assert_eq!(events[0]["data"]["instead_of"]["size"], 602);
    Audit::check(audit.says(&["verify", "database"]).await, 0, "main: intact");
}

#[tokio::test]
async fn a_backup_that_was_restored_on_purpose_is_accepted_by_an_event() {
    let audit = Audit::new().await;
    let backup = std::fs::read(audit.path("data/ledger.db")).unwrap();
    grow(&audit).await;
    for end in ["-wal", "-shm"] {
        drop(std::fs::remove_file(audit.path(&format!("data/ledger.db{end}"))));
    }
    std::fs::write(audit.path("data/ledger.db"), backup).unwrap();
    let accept = ["database", "accept", "--by", "Ada", "--reason", "the disk broke"];
    let said = audit.says(&accept).await;
    Audit::check(said, 1, "it holds 602 events, and 603 were signed");
    let restored = [&accept[..], &["--restored"]].concat();
    Audit::check(audit.says(&restored).await, 0, "accepted as it was signed with 602 events");
    let events = told(&audit, "checkpoint.accepted").await;
    assert_eq!(events[0]["data"]["instead_of"]["size"], 603);
    grow(&audit).await;
    Audit::check(audit.says(&VERIFY).await, 0, "main: intact; 604 events");
}

#[rstest]
#[case::sqlite(false)]
#[case::postgresql(true)]
#[tokio::test]
async fn a_lost_key_is_not_replaced_until_somebody_says_so(#[case] on_postgresql: bool) {
    let audit = audit(on_postgresql).await;
    let key = audit.path("data/signing-key");
    let secret = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let said = refused(&audit).await;
    assert!(said.contains("signing-key is not there, and 602 events"), "{said}");
    assert!(!key.exists(), "no key was made");
    // Nor does a stranger's key take its place.
    let stranger = audit.ask(&["keys", "new", "--print"]).await.stdout;
    std::fs::write(&key, &stranger).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    assert!(refused(&audit).await.contains("not by any of those that are here"));
    std::fs::write(&key, secret).unwrap();
    grow(&audit).await;
    Audit::check(audit.says(&VERIFY).await, 0, "vouches for 603");

    std::fs::remove_file(&key).unwrap();
    let replace = ["keys", "replace", "--by", "Ada", "--reason", "the disk broke"];
    Audit::check(audit.says(&replace).await, 0, "main: says that other keys sign it");
    Audit::check(audit.says(&replace).await, 0, "nothing is to be replaced");
    let events = told(&audit, "key.rotated").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["actor"]["id"], "Ada");
    assert_eq!(events[0]["data"]["reason"], "the disk broke");
    assert_eq!(events[0]["data"]["retired"].as_array().unwrap().len(), 1);
    // Who trusts the old key alone has no word for the end.
    Audit::check(audit.says(&VERIFY).await, 3, "the last one among them");
    let policy = audit.ask(&["keys", "list", "--policy"]).await.stdout;
    std::fs::write(audit.path("new.policy"), policy).unwrap();
    let said = audit.says(&["verify", "database", "--policy", "new.policy"]).await;
    Audit::check(said, 0, "the policy vouches for 604");
}

#[rstest]
#[case::sqlite(false)]
#[case::postgresql(true)]
#[tokio::test]
async fn what_is_beside_the_log_is_verified_as_well(#[case] on_postgresql: bool) {
    let audit = audit(on_postgresql).await;
    grow(&audit).await;
    grow(&audit).await;
    Audit::check(audit.says(&VERIFY).await, 0, "main: intact; 604 events");
    if on_postgresql {
        audit.on_file(&["ALTER TABLE events DISABLE TRIGGER events_immutable_rows"]).await;
        Audit::check(audit.says(&VERIFY).await, 1, "events_immutable_rows");
        let back = "ALTER TABLE events ENABLE ALWAYS TRIGGER events_immutable_rows";
        let off = "ALTER TABLE checkpoints DISABLE TRIGGER ALL";
        audit.on_file(&[back, off]).await;
    } else {
        audit.on_file(&["DROP TRIGGER events_no_update"]).await;
        Audit::check(audit.says(&VERIFY).await, 1, "the trigger events_no_update");
        let back =
            "CREATE TRIGGER events_no_update BEFORE UPDATE ON events\nWHEN 0 BEGIN SELECT 1; END";
        audit.on_file(&[back]).await;
        Audit::check(audit.says(&VERIFY).await, 1, "is not the one that the migrations make");
        audit
            .on_file(&["DROP TRIGGER checkpoints_no_update", "DROP TRIGGER checkpoints_no_delete"])
            .await;
    }
    audit.on_file(&["UPDATE workspaces SET created_at = created_at - 86400000000"]).await;
    Audit::check(audit.says(&VERIFY).await, 1, "the column created_at says");
    audit.on_file(&["UPDATE workspaces SET created_at = created_at + 86400000000"]).await;
    audit.on_file(&["UPDATE checkpoints SET signed_at = signed_at - 1 WHERE size = 603"]).await;
    let said = audit.says(&VERIFY).await;
    Audit::check(said, 1, "the database's checkpoint of 603 events is not what was signed");
    audit.on_file(&["DELETE FROM checkpoints WHERE size = 603"]).await;
    let said = audit.says(&VERIFY).await;
    Audit::check(
        said,
        1,
        "it was signed at 603 events, and that checkpoint is not in the database",
    );
}

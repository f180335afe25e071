//! What is said of packs that are not whole, of what was signed and is away, and of packs of nothing.

use crate::keys::{RETIRE, ROTATE};
use crate::{Audit, end};

const OPERATION: &str = "backup.set.create";

#[tokio::test]
async fn a_pack_that_is_cut_off_is_incomplete_and_one_packed_again_names_the_file() {
    let audit = Audit::new().await;
    let said = audit
        .says(&["audit", "export", "--reason", "a review", "-w", "main", "-o", "main.zip"])
        .await;
    Audit::check(said, 0, "602 events");
    let verify = ["verify", "pack", "main.zip", "--policy", "trust.policy"];
    Audit::check(audit.says(&verify).await, 0, "intact; 602 of 602 events");
    let whole = std::fs::read(audit.path("main.zip")).unwrap();
    // Within a file, between two files, and in the directory at the end.
    for length in [4_000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(audit.path("main.zip"), &whole[..length]).unwrap();
        Audit::check(audit.says(&verify).await, 2, "cut off after");
    }
    // The time that other programs write; the name of the first file stands behind it.
    let mut again = whole.clone();
    again[10] ^= 1;
    std::fs::write(audit.path("main.zip"), &again).unwrap();
    Audit::check(
        audit.says(&verify).await,
        1,
        "the file README.txt in it is written in another way",
    );
    let mut changed = whole.clone();
    let middle = whole.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(audit.path("main.zip"), &changed).unwrap();
    Audit::check(audit.says(&verify).await, 1, "");
}

/// A pack with other bytes in one file, packed as a pack is.
fn packed(whole: &[u8], change: impl Fn(&str, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut zip = runledger_proof::zip::ZipWriter::new(Vec::new());
    for (name, bytes) in runledger_proof::zip::read(whole).unwrap() {
        zip.add(name, &change(name, bytes)).unwrap();
    }
    zip.finish().unwrap()
}

/// A signed note with another byte in the id of the key, in its signature, or in its first line.
fn altered(note: &[u8], what: &str) -> Vec<u8> {
    let mut text = String::from_utf8(note.to_vec()).unwrap();
    let line = text.rfind('\u{2014}').unwrap();
    let base64 = line + text[line..].trim_end().rfind(' ').unwrap() + 1;
    let at = match what {
        "id" => base64 + 1,
        "signature" => base64 + 40,
        _ => 3,
    };
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    text.replace_range(at..=at, other);
    text.into_bytes()
}

#[tokio::test]
async fn an_altered_note_in_a_pack_is_tampering_and_a_pack_packed_again_names_what_was_altered() {
    let audit = Audit::new().await;
    let said = audit
        .says(&["audit", "export", "-w", "main", "--reason", "a test", "-o", "main.zip"])
        .await;
    Audit::check(said, 0, "602 events");
    let whole = std::fs::read(audit.path("main.zip")).unwrap();
    let verify = ["verify", "pack", "other.zip", "--policy", "trust.policy"];
    for file in ["checkpoint", "manifest.note"] {
        for what in ["id", "signature", "text"] {
            let other = packed(&whole, |name, bytes| match name == file {
                true => altered(bytes, what),
                false => bytes.to_vec(),
            });
            std::fs::write(audit.path("other.zip"), &other).unwrap();
            let said = audit.says(&verify).await;
            assert_eq!(said.1, Some(1), "{file} {what}: {}", said.0);
        }
    }
    // Packed again by a program that keeps times, with another byte in one of its files.
    let mut again = packed(&whole, |name, bytes| match name == "custody.json" {
        true => bytes.to_ascii_uppercase(),
        false => bytes.to_vec(),
    });
    again[10] ^= 1;
    std::fs::write(audit.path("other.zip"), &again).unwrap();
    let said = audit.says(&verify).await;
    let first = said.0.lines().next().unwrap_or_default().to_owned();
    assert!(first.contains("the file custody.json is not the one that was signed"), "{first}");
    Audit::check(said, 1, "packed it again has the original");
}

#[tokio::test]
async fn a_history_that_only_a_retired_key_signed_is_an_unknown_key_and_no_tampering() {
    let audit = Audit::new().await;
    Audit::check(audit.says(&ROTATE).await, 0, "replaced");
    end(audit.serve().await).await;
    Audit::check(audit.says(&RETIRE).await, 0, "keep the lines");
    let policy = audit.ask(&["keys", "list", "--policy"]).await;
    std::fs::write(audit.path("new.policy"), &policy.stdout).unwrap();
    let old = std::fs::read_to_string(audit.path("trust.policy")).unwrap();
    let line = old.lines().find(|line| line.starts_with("log ")).unwrap();
    let policy = String::from_utf8(policy.stdout).unwrap();
    assert!(policy.contains(&format!("# retired, as the log says: {line}\n")), "{policy}");
    let said = audit
        .says(&["audit", "export", "--reason", "a review", "-w", "main", "-o", "main.zip"])
        .await;
    Audit::check(said, 0, "main.zip");
    let verify = |policy| ["verify", "pack", "main.zip", "--policy", policy];
    let said = audit.says(&verify("new.policy")).await;
    Audit::check(said, 3, "no key that the policy trusts has signed");
    // Who kept the line of the old key as well can verify all of it.
    let old = std::fs::read_to_string(audit.path("trust.policy")).unwrap();
    let new = std::fs::read_to_string(audit.path("new.policy")).unwrap();
    let both = format!("{}{new}", old.replace("quorum none\n", ""));
    std::fs::write(audit.path("both.policy"), both).unwrap();
    Audit::check(audit.says(&verify("both.policy")).await, 0, "intact");
}

#[tokio::test]
async fn checkpoints_that_were_removed_are_missed() {
    let audit = Audit::new().await;
    let back = "CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints\n\
                BEGIN SELECT RAISE(ABORT, 'checkpoints are immutable: DELETE is refused'); END";
    let remove = ["DROP TRIGGER checkpoints_no_delete", "DELETE FROM checkpoints", back];
    audit.on_file(&remove).await;
    for with in [&["--policy", "trust.policy"][..], &[]] {
        let said = audit.says(&[&["verify", "database"][..], with].concat()).await;
        assert!(!said.0.contains("nobody whom"), "{}", said.0);
        Audit::check(said, 2, "that checkpoint is not in the database any more");
    }
}

#[tokio::test]
async fn of_what_never_was_there_is_no_pack() {
    let audit = Audit::new().await;
    let export = |rest: [&'static str; 2]| {
        [&["audit", "export", "--reason", "a review", "-w", "main", "-o", "some.zip"][..], &rest]
            .concat()
    };
    let said = audit.says(&export(["--operation", "backup.craete"])).await;
    Audit::check(said, 1, "no operation \"backup.craete\" is in the log or in the catalog");
    let nobody = "0195f3c0-0000-7000-8000-00000000ffff";
    Audit::check(audit.says(&export(["--run", nobody])).await, 1, "no run");
    assert!(!audit.path("some.zip").exists());
    Audit::check(
        audit.says(&export(["--environment", "prdo"])).await,
        1,
        "nothing of an environment \"prdo\" is in the log",
    );
    // An alias is resolved.
    let said = audit.says(&export(["--operation", "backup.create"])).await;
    Audit::check(said, 0, "600 events");
    let said = audit.says(&["verify", "pack", "some.zip", "--policy", "trust.policy"]).await;
    Audit::check(said, 0, "only operation backup.set.create");
    std::fs::remove_file(audit.path("some.zip")).unwrap();
    // The catalog names it: that nothing is recorded of it is an answer.
    let said = audit.says(&export(["--operation", "restore.execute"])).await;
    Audit::check(said, 0, "some.zip: 0 events");
    std::fs::remove_file(audit.path("some.zip")).unwrap();
    Audit::check(audit.says(&export(["--operation", OPERATION])).await, 0, "600 events");
}

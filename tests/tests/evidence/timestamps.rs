//! When a checkpoint was there, by the word of an authority that knows nothing of us (RFC 3161): one that
//! is made here with the program `openssl`, which also verifies what it has signed.

use std::path::Path;
use std::process::Command;

use runledger_ledger::access::{AccessChange, CheckpointTimestamped};
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Command as Submitted, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::workspace::WorkspaceCommand;
use runledger_proof::timestamp;
use serde_json::Value;

use crate::{Audit, end};

const SETTINGS: &str = "\
[req]
distinguished_name = name
prompt = no
x509_extensions = of_ca
[name]
CN = A test
[of_ca]
basicConstraints = critical, CA:TRUE
[of_tsa]
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = one
[one]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
ess_cert_id_chain = no
";

/// An authority, in a directory of its own.
struct Authority<'a>(&'a Path);

impl Authority<'_> {
    fn new(directory: &Path) -> Authority<'_> {
        let authority = Authority(directory);
        std::fs::write(directory.join("tsa.cnf"), SETTINGS).unwrap();
        std::fs::write(directory.join("serial"), "01\n").unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config tsa.cnf";
        authority.run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 99"));
        authority.run(&format!("req -new {key} -keyout tsa.key -out tsa.csr -subj /CN=tsa"));
        authority.run(
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem \
             -extfile tsa.cnf -extensions of_tsa -days 99",
        );
        authority
    }

    /// What `openssl` says.
    fn run(&self, arguments: &str) -> String {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(self.0).output();
        let output = run.expect("this test needs the program `openssl` (package openssl)");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "openssl {arguments}: {said}");
        said
    }

    /// Has it say when some bytes were there.
    fn stamp(&self, name: &str, bytes: &[u8]) -> Vec<u8> {
        std::fs::write(self.0.join(format!("{name}.data")), bytes).unwrap();
        self.run(&format!("ts -query -data {name}.data -sha256 -cert -no_nonce -out {name}.tsq"));
        self.answer(name);
        std::fs::read(self.0.join(format!("{name}.tsr"))).unwrap()
    }

    fn answer(&self, name: &str) {
        self.run(&format!(
            "ts -reply -config tsa.cnf -section one -queryfile {name}.tsq -out {name}.tsr"
        ));
    }
}

#[tokio::test]
async fn an_authority_says_when_a_checkpoint_was_there_and_packs_have_it() {
    let audit = Audit::new().await;
    let authority = Authority::new(audit.directory.path());
    let request = ["timestamp", "request", "-o", "day.tsq"];
    Audit::check(audit.says(&request).await, 0, "asks when the checkpoint of 602 events was there");
    Audit::check(audit.says(&request).await, 2, "cannot be made");
    authority.run("ts -query -data day.note -sha256 -cert -no_nonce -out same.tsq");
    let (ours, same) = (audit.path("day.tsq"), audit.path("same.tsq"));
    assert_eq!(std::fs::read(ours).unwrap(), std::fs::read(same).unwrap());
    authority.answer("day");
    let verify = "ts -verify -data day.note -in day.tsr -CAfile ca.pem";
    assert!(authority.run(verify).contains("Verification: OK"));

    let add = |file| ["timestamp", "add", file, "--by", "Ada"];
    Audit::check(
        audit.says(&add("day.tsr")).await,
        0,
        "the checkpoint of 602 events was there at ",
    );
    Audit::check(audit.says(&add("day.tsr")).await, 0, "the log has it already");
    authority.stamp("other", b"other bytes");
    Audit::check(audit.says(&add("other.tsr")).await, 1, "it is of no checkpoint of main");
    Audit::check(audit.says(&add("day.note")).await, 2, "it is no answer of a timestamp authority");
    let listed = audit.says(&["timestamp", "list"]).await;
    Audit::check(listed, 0, "main: 602 events were there at ");
    end(audit.serve().await).await;
    Audit::check(audit.says(&["verify", "database"]).await, 0, "main: intact; 603 events");

    let export =
        |file| ["audit", "export", "--size", "603", "--reason", "a test", "-w", "main", "-o", file];
    Audit::check(audit.says(&export("one.zip")).await, 0, "603 events");
    Audit::check(audit.says(&export("two.zip")).await, 0, "603 events");
    let pack = std::fs::read(audit.path("one.zip")).unwrap();
    assert_eq!(pack, std::fs::read(audit.path("two.zip")).unwrap());
    let said = audit.says(&["verify", "pack", "one.zip", "--policy", "trust.policy"]).await;
    Audit::check(said, 0, "1 timestamps are of checkpoints of its history");
    let files = runledger_proof::zip::read(&pack).unwrap();
    let file = |name: &str| {
        let found = files.iter().find(|(there, _)| *there == name);
        found.unwrap_or_else(|| panic!("the pack has no {name}")).1.to_vec()
    };
    let name = "timestamps/00000000000000000602-602";
    std::fs::write(audit.path("packed.note"), file(&format!("{name}.note"))).unwrap();
    std::fs::write(audit.path("packed.tsr"), file(&format!("{name}.tsr"))).unwrap();
    assert_eq!(file(&format!("{name}.note")), std::fs::read(audit.path("day.note")).unwrap());
    let verify = "ts -verify -data packed.note -in packed.tsr -CAfile ca.pem";
    assert!(authority.run(verify).contains("Verification: OK"));

    let log = String::from_utf8(file("access-log.ndjson")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["workspace.created", "catalog.published", "checkpoint.timestamped"]);
    assert_eq!(lines[2]["actor"]["id"], "Ada");
    assert_eq!(lines[2]["data"]["token"], Value::Null, "it stands in timestamps/");
    let snapshot: Value = serde_json::from_slice(&file("config-snapshot.json")).unwrap();
    assert_eq!(snapshot["catalog"]["in_force_from"], 1);
    assert_eq!(snapshot["retention"]["archives"], Value::Array(Vec::new()));
    assert!(String::from_utf8(file("erasures.csv")).unwrap().starts_with("# A copy for people"));
}

#[tokio::test]
async fn a_timestamp_that_does_not_fit_is_told_by_every_verification() {
    let audit = Audit::new().await;
    let authority = Authority::new(audit.directory.path());
    let request = audit.says(&["timestamp", "request", "-o", "day.tsq"]).await;
    Audit::check(request, 0, "day.note is that checkpoint");
    let note = std::fs::read_to_string(audit.path("day.note")).unwrap();
    let told = |note: &str, answer: &[u8]| CheckpointTimestamped {
        note: note.to_owned(),
        root: hex::encode(root(note)),
        size: note.lines().nth(1).unwrap().parse().unwrap(),
        stamped_at: Moment::from_micros(timestamp::read(answer).unwrap().at),
        token: timestamp::to_text(answer),
    };
    // A token of something else, and one of a checkpoint that this log never had.
    let other = authority.stamp("other", b"other bytes");
    record(&audit, told(&note, &other)).await;
    let said = audit.says(&["verify", "database"]).await;
    Audit::check(said.clone(), 1, "the event at position 602: the timestamp that it holds");
    Audit::check(said, 1, "the token is of other bytes than those of the checkpoint");
    let forked = note.replacen("\n602\n", "\n601\n", 1);
    let stamped = authority.stamp("forked", forked.as_bytes());
    record(&audit, told(&forked, &stamped)).await;
    let said = audit.says(&["verify", "database"]).await;
    Audit::check(said, 1, "are not those of which a checkpoint of 601 was signed");
    end(audit.serve().await).await;
    let export = ["audit", "export", "--reason", "a test", "-w", "main", "-o", "main.zip"];
    Audit::check(audit.says(&export).await, 0, "main.zip");
    let said = audit.says(&["verify", "pack", "main.zip", "--policy", "trust.policy"]).await;
    Audit::check(said.clone(), 1, "602-602.tsr is of other bytes than the note beside it");
    Audit::check(said, 1, "601-603.tsr is of no checkpoint of the history in this pack");
}

fn root(note: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(note.lines().nth(2).unwrap()).unwrap()
}

/// As a program does that verifies nothing.
async fn record(audit: &Audit, told: CheckpointTimestamped) {
    let url = StoreUrl::SqliteFile(audit.path("data/ledger.db"));
    let store = Store::open(&url).await.unwrap();
    let ledger = Ledger::new(store.clone(), Clock::system(), Entropy::system());
    let (workspace, _) = store.workspaces().await.unwrap().remove(0);
    let change = WorkspaceCommand::NoteAccess(AccessChange::CheckpointTimestamped(told));
    let submission = Submission::new(Submitted::Workspace(change));
    ledger.submit(workspace, vec![submission], true).await.unwrap();
    store.close().await;
}

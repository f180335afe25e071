//! What Go's own packages say of a pack: nothing of ours is in between.

use std::path::{Path, PathBuf};

use runledger::pack::{self, Order, Scope};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::checkpoints::{Anchors, Keys, Signer};
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::Answer;
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use runledger_proof::tile;
use runledger_tests::bench::traffic;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Audit;

/// The packages of Go's own tool chain that the check needs: its notes, its logs and their
/// signatures. They come with the compiler, so nothing is downloaded.
const OF_GO: &[(&str, &[&str])] =
    &[("golang.org/x/mod", &["sumdb/note", "sumdb/tlog"]), ("golang.org/x/crypto", &["ed25519"])];

#[tokio::test]
async fn gos_own_code_verifies_a_pack_and_finds_what_was_changed() {
    let audit = Audit::new().await;
    audit.ask(&["audit", "export", "--reason", "a review", "-w", "main", "-o", "main.zip"]).await;
    let pack = std::fs::read(audit.path("main.zip")).unwrap();
    unpacked(&pack, &audit.path("pack"));
    let policy = std::fs::read_to_string(audit.path("trust.policy")).unwrap();
    let key = policy.lines().find_map(|line| line.strip_prefix("log ")).unwrap();
    let check = Check { program: built(&audit.path("go")).await, key: key.to_owned() };
    let log = audit.path("pack/tlog");
    Audit::check(check.of(&log, &[]).await, 0, "intact: 602 entries");
    let bundle = audit.path("pack/tlog/tile/entries/001");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(bundle, bytes).unwrap();
    Audit::check(check.of(&log, &[]).await, 1, "the entry at position 25");
}

/// Lives of three events each: 70,200 events, in 274 bundles that are full and one that is not, under
/// tiles of three levels.
const RUNS: u64 = 23_400;
/// Lives that are handed in at once: 4,998 events.
const AT_ONCE: u64 = 1_666;

#[tokio::test]
async fn gos_own_code_verifies_seventy_thousand_events_and_names_the_one_that_was_altered() {
    let long = Long::new().await;
    let whole = unpacked(&long.pack(Scope::default()).await, &long.path("pack"));
    let check = Check { program: built(&long.path("go")).await, key: long.key() };
    let size = long.size;
    assert!(size > 70_000 && size % 256 != 0, "{size}");
    let intact = format!("intact: {size} entries in {} bundles", size.div_ceil(256));
    Audit::check(check.of(&whole, &[]).await, 0, &intact);

    for bundle in [0, 137, size / 256] {
        let last = bundle == size / 256;
        let part = if last { format!(".p/{}", size % 256) } else { String::new() };
        let entries = whole.join(format!("tile/entries/{bundle:03}{part}"));
        let width = if last { size % 256 } else { 256 };
        let bytes = std::fs::read(&entries).unwrap();
        let lengths: Vec<usize> =
            tile::entries(&bytes, width).unwrap().iter().map(|entry| 2 + entry.len()).collect();
        // A byte within an event, and both bytes that say how long it is: the last one is cut short,
        // or reaches beyond its bundle.
        for (place, byte) in [(0, 2), (97, 40), (97, 0), (97, 1), (lengths.len() - 1, 0)] {
            let place = place.min(lengths.len() - 1);
            let at = lengths[..place].iter().sum::<usize>() + byte;
            let told = format!("the entry at position {} ", 256 * bundle + place as u64);
            altered(&entries, at, async || Audit::check(check.of(&whole, &[]).await, 1, &told))
                .await;
        }
        let leaves = whole.join(format!("tile/0/{bundle:03}{part}"));
        let told = format!("the entry at position {} ", 256 * bundle + 11);
        altered(&leaves, 32 * 11 + 5, async || {
            Audit::check(check.of(&whole, &[]).await, 1, &told);
        })
        .await;
    }
    for (tile, told) in [
        ("tile/1/000", "hash 3 of level 1 is not"),
        ("tile/1/001.p/18", "hash 259 of level 1 is not"),
        ("checkpoint", "invalid signature"),
    ] {
        altered(&whole.join(tile), 32 * 3 + 1, async || {
            Audit::check(check.of(&whole, &[]).await, 1, told);
        })
        .await;
    }
    Audit::check(check.of(&whole, &[]).await, 0, &intact);
    long.one_run(&check, &whole).await;
}

/// A file with one bit altered, for as long as it takes to look at it.
async fn altered(file: &Path, at: usize, look: impl AsyncFnOnce()) {
    let before = std::fs::read(file).unwrap();
    let mut bytes = before.clone();
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
    look().await;
    std::fs::write(file, before).unwrap();
}

/// A log that is longer than one bundle of the second level, signed three times.
struct Long {
    directory: TempDir,
    store: Store,
    workspace: WorkspaceId,
    keys: Keys,
    size: u64,
    run: RunId,
}

impl Long {
    async fn new() -> Long {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::SqliteFile(directory.path().join("ledger.db"));
        let store = Store::open(&url).await.unwrap();
        let ledger = Ledger::new(store.clone(), Clock::system(), Entropy::system());
        let main = Name::new("main").unwrap();
        let workspace = ledger.create_workspace(&main, &Catalog::built_in()).await.unwrap();
        let keys = Keys::make("long.example", &Entropy::system()).unwrap();
        let anchors = Anchors::new(directory.path().join("signed"));
        let signer = Signer::new(store.clone(), Clock::system(), anchors);
        let run = ledger.new_run_id().unwrap();
        let mut told = 0;
        while told < RUNS {
            let until = RUNS.min(told + AT_ONCE);
            let lives = (told..until).flat_map(|number| {
                let run = if number == 20_000 { run } else { ledger.new_run_id().unwrap() };
                traffic::life(run, number).unwrap()
            });
            for answer in ledger.submit(workspace, lives.collect(), true).await.unwrap() {
                assert!(matches!(answer, Answer::Recorded(_)), "{answer:?}");
            }
            if told % (5 * AT_ONCE) == 0 {
                signer.sign(workspace, &keys).await.unwrap();
            }
            told = until;
        }
        signer.sign(workspace, &keys).await.unwrap();
        let size = store.head(workspace).await.unwrap().unwrap().size();
        Long { directory, store, workspace, keys, size, run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn key(&self) -> String {
        self.keys.verifiers(self.workspace).first().unwrap().to_string()
    }

    async fn pack(&self, scope: Scope) -> Vec<u8> {
        let (workspace, name) = (self.workspace, "main".to_owned());
        let (requester, size, witnesses) = (String::new(), None, None);
        let order = Order { workspace, name, requester, size, scope, witnesses };
        let mut bytes = Vec::new();
        pack::export(&self.store, &self.keys, &order, &mut bytes).await.unwrap();
        bytes
    }

    /// A pack of one run of them: each event by its own proof.
    async fn one_run(&self, check: &Check, whole: &Path) {
        let scope = Scope { run: Some(self.run), ..Scope::default() };
        unpacked(&self.pack(scope).await, &self.path("run"));
        let mut proofs: Vec<PathBuf> = std::fs::read_dir(self.path("run/proofs"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        proofs.sort();
        let events = std::fs::read_to_string(self.path("run/events.ndjson")).unwrap();
        assert_eq!((proofs.len(), events.lines().count()), (3, 3));
        let file = self.path("event");
        for (proof, event) in proofs.iter().zip(events.lines()) {
            std::fs::write(&file, event).unwrap();
            let with = [proof.as_path(), &file];
            let name = proof.file_stem().unwrap().to_str().unwrap();
            let at = name.trim_start_matches('0');
            let told = format!("intact: the event is at position {at}");
            Audit::check(check.of(whole, &with).await, 0, &told);
            let told = format!("the proof does not show that the event is at position {at}");
            altered(&file, 30, async || Audit::check(check.of(whole, &with).await, 1, &told)).await;
        }
    }
}

/// What Go's own packages say.
struct Check {
    program: PathBuf,
    key: String,
}

impl Check {
    async fn of(&self, log: &Path, proof: &[&Path]) -> (String, Option<i32>) {
        let mut program = Command::new(&self.program);
        let output = program.arg(log).arg(&self.key).args(proof).output().await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (said, output.status.code())
    }
}

/// Where the log of a pack lies, now that it is unpacked.
fn unpacked(pack: &[u8], to: &Path) -> PathBuf {
    for (name, bytes) in runledger_proof::zip::read(pack).unwrap() {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    to.join("tlog")
}

/// The program of `docs/verify-with-go`, built with what the compiler brings along.
async fn built(home: &Path) -> PathBuf {
    let go = async |arguments: &[&str], home: &Path| {
        let mut go = Command::new("go");
        go.args(arguments).current_dir(home).env("GOFLAGS", "-mod=vendor").env("GOPROXY", "off");
        go.env("GOCACHE", home.join("cache")).env("GOWORK", "off").output().await.unwrap()
    };
    std::fs::create_dir(home).unwrap();
    let root = go(&["env", "GOROOT"], home).await;
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
    let program = include_str!("../../../docs/verify-with-go/main.go");
    std::fs::write(home.join("main.go"), program).unwrap();
    let done = go(&["build", "-o", "check", "."], home).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    home.join("check")
}

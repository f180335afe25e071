//! What Go's own packages say of a pack: nothing of ours is in between.

use std::path::{Path, PathBuf};

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
    let program = include_str!("../../../docs/verify-with-go/main.go");
    std::fs::write(home.join("main.go"), program).unwrap();
    let done = go(&["build", "-o", "check", "."], &home).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    home.join("check")
}

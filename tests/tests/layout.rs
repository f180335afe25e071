//! The shape of the repository: what stands at its top, and which crate may know which.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What the top level of the repository may hold.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".config",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "adapters",
    "api",
    "benches",
    "clippy.toml",
    "deny.toml",
    "deploy",
    "docs",
    "justfile",
    "ledger",
    "migrations",
    "projections",
    "rustfmt.toml",
    "specs",
    "tests",
];

/// Each crate and the crates of this workspace that it may depend on, in any way: as a normal, a
/// build or a test dependency.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("runledger-proof", &[]),
    ("runledger-ledger", &["runledger-proof"]),
    ("runledger-projections", &["runledger-ledger"]),
    ("runledger-adapters", &["runledger-ledger"]),
    (
        "runledger",
        &["runledger-proof", "runledger-ledger", "runledger-projections", "runledger-adapters"],
    ),
    (
        "runledger-tests",
        &[
            "runledger-proof",
            "runledger-ledger",
            "runledger-projections",
            "runledger-adapters",
            "runledger",
        ],
    ),
];

#[test]
fn the_top_level_holds_only_what_the_layout_names() {
    // Files that are tracked, or that would be by the next `git add --all`.
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = String::from_utf8(output.stdout).unwrap();
    let found: BTreeSet<&str> = files.lines().map(|path| path.split('/').next().unwrap()).collect();
    assert!(found.contains("Cargo.toml"), "git lists another directory: {found:?}");
    let unknown: Vec<_> = found.iter().filter(|name| !TOP_LEVEL.contains(name)).collect();
    assert!(unknown.is_empty(), "the layout does not name {unknown:?}");
}

#[test]
fn crates_depend_on_each_other_in_one_direction_only() {
    let manifests = workspace_manifests();
    let names: BTreeSet<&str> = manifests.iter().map(name).collect();
    let ruled: BTreeSet<&str> = MAY_DEPEND_ON.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ruled, "every crate of the workspace has a rule");
    assert_eq!(forbidden_arrows(&manifests), Vec::<String>::new());
}

#[test]
fn a_forbidden_arrow_is_found_wherever_it_hides() {
    for hiding_place in [
        "[dependencies]\nrunledger.workspace = true",
        "[dev-dependencies]\nrunledger = { path = '../api' }",
        "[build-dependencies]\nrunledger = '1'",
        "[dependencies]\nshort = { package = 'runledger', path = '../api' }",
        "[target.'cfg(unix)'.dependencies]\nrunledger.workspace = true",
    ] {
        let manifest = format!("[package]\nname = 'runledger-projections'\n{hiding_place}");
        let manifests = [toml::from_str(&manifest).unwrap()];
        assert_eq!(forbidden_arrows(&manifests), ["runledger-projections -> runledger"]);
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn workspace_manifests() -> Vec<toml::Table> {
    let read = |dir: &str| -> toml::Table {
        let text = std::fs::read_to_string(root().join(dir).join("Cargo.toml")).unwrap();
        toml::from_str(&text).unwrap()
    };
    let members = read(".")["workspace"]["members"].as_array().unwrap().clone();
    members.iter().map(|member| read(member.as_str().unwrap())).collect()
}

fn name(manifest: &toml::Table) -> &str {
    manifest["package"]["name"].as_str().unwrap()
}

/// Every `crate -> crate` that [`MAY_DEPEND_ON`] does not allow.
fn forbidden_arrows(manifests: &[toml::Table]) -> Vec<String> {
    let rules: BTreeMap<_, _> = MAY_DEPEND_ON.iter().copied().collect();
    let mut arrows = Vec::new();
    for manifest in manifests {
        let from = name(manifest);
        for to in dependencies(manifest) {
            if rules.contains_key(to.as_str()) && !rules[from].contains(&to.as_str()) {
                arrows.push(format!("{from} -> {to}"));
            }
        }
    }
    arrows
}

/// The package names of all dependencies of any kind, for any target.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let per_target =
        targets.into_iter().flat_map(|table| table.values()).filter_map(|t| t.as_table());
    std::iter::once(manifest)
        .chain(per_target)
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"]
                .into_iter()
                .filter_map(|kind| table.get(kind)?.as_table())
        })
        .flatten()
        .map(|(key, value)| {
            value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned()
        })
        .collect()
}

//! Every test of the repository, with what they need: `cargo test-all [ARGUMENTS]`.
//!
//! It installs what is missing where it may and says what is missing where it may not, starts one
//! private PostgreSQL for all tests, and runs each stage even when one before it failed.
//! `ARGUMENTS` go to the first stage, which is `cargo nextest run --workspace` where cargo-nextest
//! is installed and `cargo test --workspace` where it is not. `RUNLEDGER_TEST_PG` names another
//! PostgreSQL to use.
//!
//! Exit code: 0 when all passed, else that of the first stage that failed; 128 and the number of
//! the signal when one stopped it.

use std::io::Write;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use runledger_tests::cargo::{POSTGRES_ES, cargo, postgres_es_target};
use runledger_tests::cluster::{Cluster, Durability, is_root, server_binaries};
use runledger_tests::database::TEST_PG;
use runledger_tests::glewlwyd;
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// Something on this machine that tests need.
struct Need {
    what: &'static str,
    is_here: fn() -> bool,
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    Need {
        what: "the PostgreSQL server (initdb and postgres, 15 or later)",
        is_here: || server_binaries().is_some(),
        packages: &["postgresql"],
    },
    Need {
        what: "unshare and ip, which make a network that leads nowhere",
        is_here: || is_on_path("unshare") && is_on_path("ip"),
        packages: &["util-linux", "iproute2"],
    },
    Need {
        what: "chromium and chromedriver, which open the dashboard",
        is_here: || is_on_path("chromium") && is_on_path("chromedriver"),
        packages: &["chromium", "chromium-driver"],
    },
    Need {
        what: "python3, which runs the example of a remote adapter",
        is_here: || is_on_path("python3"),
        packages: &["python3"],
    },
    Need {
        what: "go, whose own code for transparency logs verifies an audit pack",
        is_here: || is_on_path("go"),
        packages: &["golang-go"],
    },
    Need {
        what: "glewlwyd, a provider of identities to sign in with, sqlite3 and openssl",
        is_here: || glewlwyd::is_here() && is_on_path("sqlite3") && is_on_path("openssl"),
        // Without its own database, so that nothing of it runs but what tests start.
        packages: &["glewlwyd", "dbconfig-no-thanks", "sqlite3", "openssl"],
    },
];

#[tokio::main]
async fn main() -> ExitCode {
    let code = match run().await {
        Ok(code) => code,
        Err(error) => {
            say(&format!("test-all: {error:#}"));
            1
        }
    };
    ExitCode::from(code)
}

async fn run() -> anyhow::Result<u8> {
    let mut signals = Signals::new().context("could not listen for signals")?;
    if let Some(code) = provide(NEEDS, &mut signals).await? {
        return Ok(code);
    }
    let (cluster, url) = postgres()?;
    let mut report = Report::default();
    for (name, mut command) in stages(&url)? {
        say(&format!("\n==> {name}"));
        let started = Instant::now();
        let end = run_to_end(&mut command, &mut signals).await.with_context(|| name.clone())?;
        if let End::Stopped(code) = end {
            drop(cluster);
            say("\ntest-all: stopped by a signal; the test PostgreSQL is removed");
            return Ok(code);
        }
        report.add(name, end, started.elapsed());
    }
    drop(cluster);
    say(&report.to_string());
    Ok(report.code())
}

/// Installs what is missing, or says how to. Answers an exit code when a signal stopped it.
async fn provide(needs: &[Need], signals: &mut Signals) -> anyhow::Result<Option<u8>> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_here)()).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    if !(is_root()? && is_on_path("apt-get")) {
        bail!(how_to_install(&missing));
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    say(&format!("==> apt-get install {}", packages.join(" ")));
    let install = ["install", "-y", "--no-install-recommends"];
    for arguments in [vec!["update"], [&install[..], &packages[..]].concat()] {
        let mut command = Command::new("apt-get");
        command.args(&arguments).env("DEBIAN_FRONTEND", "noninteractive");
        match run_to_end(&mut command, signals).await.context("apt-get")? {
            End::Exited(0) => {}
            End::Exited(code) => bail!("apt-get {} failed with exit code {code}", arguments[0]),
            End::Stopped(code) => return Ok(Some(code)),
        }
    }
    match missing.iter().find(|need| !(need.is_here)()) {
        Some(need) => {
            bail!("apt-get installed {}, and {} is still missing", packages.join(" "), need.what)
        }
        None => Ok(None),
    }
}

fn how_to_install(missing: &[&Need]) -> String {
    let mut text = "the tests need what this machine does not have:\n".to_owned();
    for need in missing {
        text += &format!("  {}, from the Debian package {}\n", need.what, need.packages.join(" "));
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    text + &format!(
        "Install it and run this again. On Debian and Ubuntu:\n  \
         sudo apt-get update && sudo apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The PostgreSQL of all tests: the one that [`TEST_PG`] names, or one made here.
fn postgres() -> anyhow::Result<(Option<Cluster>, String)> {
    if let Ok(url) = std::env::var(TEST_PG) {
        say(&format!("==> PostgreSQL: the one that {TEST_PG} names"));
        return Ok((None, url));
    }
    let cluster = Cluster::start(Durability::Off)?;
    say(&format!("==> PostgreSQL: a private one in {}", cluster.home().display()));
    let url = cluster.url("postgres");
    Ok((Some(cluster), url))
}

/// What is run, in order.
fn stages(postgres: &str) -> anyhow::Result<Vec<(String, Command)>> {
    let extra: Vec<String> = std::env::args().skip(1).collect();
    let first = if is_on_path("cargo-nextest") {
        &["nextest", "run", "--workspace"][..]
    } else {
        // Documentation tests are a stage of their own.
        &["test", "--workspace", "--lib", "--bins", "--tests", "--examples"]
    };
    let target = postgres_es_target().context("found no place to build postgres-es in")?;
    let mut postgres_es = stage(&["test", "--manifest-path", POSTGRES_ES], &[], postgres);
    postgres_es.1.arg("--target-dir").arg(target);
    Ok(vec![
        stage(first, &extra, postgres),
        stage(&["test", "--workspace", "--doc"], &[], postgres),
        postgres_es,
    ])
}

/// One cargo command at the root of the workspace, and its name.
fn stage(arguments: &[&str], extra: &[String], postgres: &str) -> (String, Command) {
    let mut command = Command::from(cargo(arguments));
    command.args(extra).env(TEST_PG, postgres);
    let mut name = format!("cargo {}", arguments.join(" "));
    for argument in extra {
        name = name + " " + argument;
    }
    (name, command)
}

/// The signals that ask this process to end.
struct Signals([(Signal, SignalKind, &'static str); 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let listen = |kind, name| Ok::<_, std::io::Error>((signal(kind)?, kind, name));
        Ok(Signals([
            listen(SignalKind::interrupt(), "INT")?,
            listen(SignalKind::terminate(), "TERM")?,
            listen(SignalKind::hangup(), "HUP")?,
        ]))
    }

    /// The next signal's kind and its name for `kill`.
    async fn next(&mut self) -> (SignalKind, &'static str) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.0.recv() => (interrupt.1, interrupt.2),
            _ = terminate.0.recv() => (terminate.1, terminate.2),
            _ = hangup.0.recv() => (hangup.1, hangup.2),
        }
    }
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// By itself, with this code.
    Exited(u8),
    /// After this process got a signal, with the code to leave with.
    Stopped(u8),
}

/// Runs `command` to its end. A signal goes on to it and to all it started, and it is waited for.
async fn run_to_end(command: &mut Command, signals: &mut Signals) -> anyhow::Result<End> {
    // A group of its own, so that a signal reaches test processes behind cargo too, and once.
    let mut child =
        command.stdin(Stdio::null()).process_group(0).spawn().context("could not start it")?;
    let mut stopped_by = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context("could not wait for it")?,
            (kind, name) = signals.next() => {
                stopped_by.get_or_insert(kind);
                if let Some(leader) = child.id() {
                    pass_on(name, leader).await?;
                }
            }
        }
    };
    Ok(match stopped_by {
        Some(kind) => End::Stopped(u8::try_from(128 + kind.as_raw_value()).unwrap_or(1)),
        None => End::Exited(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
    })
}

/// Sends the signal `name` to the process group of `leader`.
async fn pass_on(name: &str, leader: u32) -> anyhow::Result<()> {
    // A group that has just ended needs no signal: the result of `kill` does not matter.
    Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" -- \"-$2\" 2>/dev/null", "kill", name, &leader.to_string()])
        .status()
        .await
        .context("could not pass a signal on to the tests")?;
    Ok(())
}

/// How each stage ended.
#[derive(Default)]
struct Report(Vec<(String, u8, Duration)>);

impl Report {
    fn add(&mut self, name: String, end: End, took: Duration) {
        let (End::Exited(code) | End::Stopped(code)) = end;
        self.0.push((name, code, took));
    }

    fn code(&self) -> u8 {
        self.0.iter().map(|(_, code, _)| *code).find(|code| *code != 0).unwrap_or(0)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f)?;
        for (name, code, took) in &self.0 {
            let verdict = if *code == 0 { "passed" } else { "FAILED" };
            writeln!(f, "{verdict}  {:>4} s  {name}", took.as_secs())?;
        }
        write!(
            f,
            "{}",
            if self.code() == 0 { "All tests passed." } else { "Not all tests passed." }
        )
    }
}

/// Writes one line for the person who waits, where cargo and nextest write theirs.
fn say(line: &str) {
    // With standard error gone, there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_installs_it() {
        let need = |what, packages| Need { what, is_here: || false, packages };
        let (browser, server) =
            (need("a browser", &["chromium"][..]), need("a server", &["a", "b"]));
        let text = how_to_install(&[&browser, &server]);
        assert!(text.contains("a browser, from the Debian package chromium\n"), "{text}");
        assert!(text.ends_with("--no-install-recommends chromium a b"), "{text}");
    }

    #[test]
    fn the_exit_code_is_that_of_the_first_failure() {
        let mut report = Report::default();
        assert_eq!(report.code(), 0);
        for code in [0, 100, 101, 0] {
            report.add("stage".to_owned(), End::Exited(code), Duration::ZERO);
        }
        assert_eq!(report.code(), 100);
        assert!(report.to_string().ends_with("Not all tests passed."));
    }

    #[tokio::test]
    async fn a_stage_ends_with_its_own_exit_code_unless_a_signal_stops_all_of_it() {
        let mut signals = Signals::new().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exit 7"]);
        assert_eq!(run_to_end(&mut command, &mut signals).await.unwrap(), End::Exited(7));

        // The inner shell signals this process. The outer one survives its own copy of the signal
        // and waits for the inner one, which only a signal to the whole group reaches.
        let inner = "kill -s TERM \"$1\"; exec sleep 600";
        let outer = "trap : TERM; sh -c \"$2\" inner \"$1\"; exit 9";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", outer, "outer", &std::process::id().to_string(), inner]);
        assert_eq!(run_to_end(&mut command, &mut signals).await.unwrap(), End::Stopped(143));
    }
}

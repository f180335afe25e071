//! The remote adapter of `docs/remote-adapters.md`, as a program of its own beside a real server.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rstest::rstest;
use runledger::limits::LimitSettings;
use runledger::server::Server;
use runledger::settings::{AdapterSettings, LogFormat, Settings};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{Named, Origin, Report, RunCommand, SignalReport};
use runledger_ledger::store::StoreUrl;
use runledger_ledger::store::trust::Danger;
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::words::{Name, Outcome, RunId, WorkspaceId};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::{AsOf, Projections};
use runledger_tests::ledger_database;
use serde_json::json;
use tokio::process::{Child, Command as Program};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(60);
const ADAPTER: &str = "report.files";
const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn examples() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../adapters/examples")).to_owned()
}

fn settings(directory: &Path, database: StoreUrl) -> Settings {
    let probes = Some(examples().join("remote_adapter.toml"));
    Settings {
        archive_after_days: None,
        archives: Vec::new(),
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: directory.to_owned(),
        database,
        log: "info".to_owned(),
        log_format: LogFormat::Text,
        connections: 100,
        catalog: None,
        workspace: "main".parse().unwrap(),
        waived: vec![Danger::Durability],
        witnesses: None,
        limits: LimitSettings::default(),
        scanners: None,
        oidc: None,
        adapters: AdapterSettings { domain_url: None, probes },
    }
}

/// A report as the domain leaves it.
fn write(directory: &Path, environment: &str, fingerprint: &str, report: &serde_json::Value) {
    let directory = directory.join("reports/main").join(environment);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(format!("{fingerprint}.json")), report.to_string()).unwrap();
}

/// A run that failed, and the position of its last event.
async fn failed(
    ledger: &Ledger,
    main: WorkspaceId,
    environment: Option<&str>,
    fingerprint: &str,
) -> (RunId, u64) {
    let run = ledger.new_run_id().unwrap();
    let name = |text: &str| Name::new(text).unwrap();
    let named = Named {
        operation: Some(name("permission.report.generate")),
        environment: environment.map(name),
        fingerprint: Some(name(fingerprint)),
        subject: Some("permission_report/77".parse().unwrap()),
        ..Named::default()
    };
    let report = Report::Failed {
        message: None,
        outcome: Outcome::Failed,
        reason_code: name("worker_lost"),
        retryable: None,
    };
    let failed = SignalReport { named, origin: Origin::default(), report };
    let failed = Submission::new(Command::Run(run, RunCommand::Signal(Box::new(failed))));
    let answers = ledger.submit(main, vec![failed], false).await.unwrap();
    let Answer::Recorded(receipt) = &answers[0] else { panic!("{answers:?}") };
    (run, receipt.position)
}

fn adapter(directory: &Path, url: &str) -> Child {
    let token = std::fs::read_to_string(directory.join("admin-token")).unwrap();
    Program::new("python3")
        .arg("-B")
        .arg(examples().join("remote_adapter.py"))
        .args(["--url", url, "--poll", "0.1", "--reports"])
        .arg(directory.join("reports"))
        .env("RUNLEDGER_TOKEN", token.trim())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this test needs `python3`")
}

/// Tells the adapter to stop; what it has claimed by then, it still judges. Returns what it said.
async fn stopped(adapter: Child) -> String {
    let id = adapter.id().unwrap().to_string();
    assert!(Program::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let ended = tokio::time::timeout(PATIENCE, adapter.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}");
    said
}

#[rstest]
#[tokio::test]
async fn a_program_in_another_language_proves_what_became_of_runs(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let directory = tempfile::tempdir().unwrap();
    let database = match kind {
        "sqlite" => StoreUrl::SqliteFile(directory.path().join("ledger.db")),
        _ => StoreUrl::Postgres(ledger_database().await),
    };
    let done = json!({
        "id": 77, "state": "done", "pages": 12, "sha256": SHA256,
        "finished_at": "2026-01-01T00:00:00Z",
    });
    write(directory.path(), "production", "whole", &done);
    write(directory.path(), "_workspace", "whole", &done);
    write(directory.path(), "production", "odd", &json!({"state": "upside_down"}));

    let server = Server::start(&settings(directory.path(), database)).await.unwrap();
    let (ledger, url) = (server.ledger().clone(), format!("http://{}", server.address()));
    let main = ledger.store().workspace_by_name("main").await.unwrap().unwrap();
    let (stop, stopping) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopping.await) }));
    // The first two wait in the log before the third, so they are judged when that one is.
    let (foreign, _) = failed(&ledger, main, Some("staging"), "whole").await;
    let (odd, _) = failed(&ledger, main, Some("production"), "odd").await;
    let (proven, last) = failed(&ledger, main, Some("production"), "whole").await;
    let adapter = adapter(directory.path(), &url);

    // Its proof, and what it saw of the subject.
    let projections = Projections::new(ledger.clone()).unwrap();
    assert!(projections.wait(main, last + 2, PATIENCE).await.unwrap());
    let said = stopped(adapter).await;
    let view = projections.view(main, AsOf::Now).await.unwrap();
    let standing = view.run(proven).await.unwrap().unwrap();
    assert_eq!(standing.recorded.outcome, Outcome::Failed, "history stays: {said}");
    assert_eq!(standing.now.actionability.status, Actionability::ResolvedByCurrentState);
    let decision = standing.recorded.reconciliation.unwrap();
    assert_eq!((decision.adapter.as_str(), decision.adapter_version), (ADAPTER, 1));
    assert_eq!(decision.related.unwrap().to_string(), "permission_report/77");
    let evidence = serde_json::to_value(&decision.evidence).unwrap();
    let finished_at = "2026-01-01T00:00:00Z";
    let wanted =
        json!({"state": "done", "pages": 12, "sha256": SHA256, "finished_at": finished_at});
    assert_eq!(evidence, wanted);

    let health = projections.adapter_health(main, ledger.now()).await.unwrap();
    assert_eq!(health[ADAPTER].backlog, 0, "all were judged: {said}");
    for (run, reason) in [(foreign, "no_report_found"), (odd, "report_not_understood")] {
        let judged = said.lines().find(|line| line.starts_with(&run.to_string())).unwrap();
        assert!(judged.contains(reason) && judged.ends_with("no_event"), "{judged}");
        let standing = view.run(run).await.unwrap().unwrap();
        assert_eq!(standing.recorded.reconciliation, None, "nothing is proven of it");
        assert_eq!(standing.now.actionability.status, Actionability::Actionable);
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_fingerprint_that_is_a_path_leads_nowhere_else() {
    let script = "\
import sys
sys.path.insert(0, sys.argv[1])
import remote_adapter as adapter
for environment, fingerprint in [('..', 'x'), ('.', 'x'), ('production', '../../x'), ('a/b', '/x')]:
    claim = {'scope': {'workspace': 'main', 'environment': environment},
             'recorded': {'fingerprint': fingerprint}}
    print(adapter.place('/reports', claim))
";
    let output = Program::new("python3")
        .args(["-B", "-c", script])
        .arg(examples())
        .output()
        .await
        .expect("this test needs `python3`");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    let within = ["/reports/main/production/..%2F..%2Fx.json", "/reports/main/a%2Fb/%2Fx.json"];
    assert_eq!(lines, ["None", "None", within[0], within[1]]);
}

#[test]
fn the_page_shows_the_program_and_the_configuration_that_run() {
    let page = include_str!("../../../docs/remote-adapters.md");
    for (language, text, least) in [
        ("python", include_str!("../../../adapters/examples/remote_adapter.py"), 3),
        ("toml", include_str!("../../../adapters/examples/remote_adapter.toml"), 1),
    ] {
        let fence = format!("```{language}\n");
        let blocks: Vec<&str> =
            page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(blocks.len() >= least, "only {} blocks of {language}", blocks.len());
        for block in blocks {
            assert!(text.contains(block), "the example has changed, and the page shows:\n{block}");
        }
    }
}

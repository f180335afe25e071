//! Adapters as an operator meets them: the settings, the program, and a server that starts or not.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use runledger::limits::LimitSettings;
use runledger::server::Server;
use runledger::settings::{AdapterSettings, LogFormat, Settings};
use runledger_ledger::run::{Named, Origin, Report, RunCommand, SignalReport};
use runledger_ledger::store::StoreUrl;
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::words::{Name, Outcome};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::{AsOf, Projections};
use runledger_tests::domain::DomainDatabase;
use runledger_tests::test_database;
use serde_json::Value;
use tokio::sync::oneshot;

const PROGRAM: &str = env!("CARGO_BIN_EXE_runledger-under-test");
const PATIENCE: Duration = Duration::from_secs(60);

async fn adapters(directory: &Path, arguments: &[&str], domain: Option<&str>) -> Output {
    let mut command = tokio::process::Command::new(PROGRAM);
    command.arg("adapters").args(arguments).env_clear().env("RUNLEDGER_DATA_DIR", directory);
    if let Some(url) = domain {
        command.env("RUNLEDGER_DOMAIN_URL", url);
    }
    tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn settings(directory: &Path, domain_url: &str) -> Settings {
    Settings {
        archive_after_days: None,
        archives: Vec::new(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: directory.to_owned(),
        database: StoreUrl::SqliteFile(directory.join("ledger.db")),
        log: "info".to_owned(),
        log_format: LogFormat::Text,
        connections: 100,
        catalog: None,
        workspace: "main".parse().unwrap(),
        waived: Vec::new(),
        witnesses: None,
        limits: LimitSettings::default(),
        scanners: None,
        oidc: None,
        adapters: AdapterSettings { domain_url: Some(domain_url.to_owned()), probes: None },
    }
}

#[tokio::test]
async fn the_program_says_what_judges_what_and_whether_its_source_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let list = adapters(directory.path(), &["list"], None).await;
    assert!(list.status.success(), "{}", said(&list));
    for word in ["restore.execute", "environment.review.compose", "lifecycle", "idle"] {
        assert!(said(&list).contains(word), "{word} is missing:\n{}", said(&list));
    }
    let admin = test_database().await;
    let domain = DomainDatabase::in_database(&admin).await.unwrap();
    let list = adapters(directory.path(), &["list", "--json"], Some(&domain.url)).await;
    let rows: Value = serde_json::from_slice(&list.stdout).unwrap();
    let review = rows.as_array().unwrap().iter();
    let review = review.clone().find(|row| row["operation"] == "environment.review.compose");
    assert_eq!(review.unwrap()["idle"], Value::Null);

    let check = adapters(directory.path(), &["check"], Some(&domain.url)).await;
    assert!(check.status.success(), "{}", said(&check));
    let check = adapters(directory.path(), &["check"], Some(&admin)).await;
    assert_eq!(check.status.code(), Some(1));
    assert!(said(&check).contains("superuser"), "{}", said(&check));
    let nowhere = "postgres://reader:hunter2@127.0.0.1:1/x";
    let check = adapters(directory.path(), &["check"], Some(nowhere)).await;
    assert_eq!(check.status.code(), Some(1));
    assert!(said(&check).contains("unavailable") && !said(&check).contains("hunter2"));
}

#[tokio::test]
async fn the_program_marks_remote_adapters_and_those_that_look_at_subjects() {
    let directory = tempfile::tempdir().unwrap();
    let probes = directory.path().join("probes.toml");
    let examples = concat!(
        include_str!("../../../adapters/examples/probes.toml"),
        include_str!("../../../adapters/examples/remote_adapter.toml"),
    );
    std::fs::write(&probes, examples).unwrap();
    let list = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(PROGRAM);
        command.args(["adapters", "list"]).args(arguments).env_clear();
        command.env("RUNLEDGER_DATA_DIR", directory.path()).env("RUNLEDGER_PROBES", &probes);
        tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap()
    };
    let shown = said(&list(&[]).await);
    let line = |word: &str| shown.lines().find(|line| line.contains(word)).unwrap().to_owned();
    assert!(line("permission.report.generate").ends_with("remote"), "{shown}");
    assert!(line("subjects provider_connection").ends_with("works"), "{shown}");
    assert!(line("subjects backup_set").ends_with("idle"), "{shown}");
    assert!(line("restore.execute").ends_with("idle"), "{shown}");
    let rows: Value = serde_json::from_slice(&list(&["--json"]).await.stdout).unwrap();
    let of = |adapter: &str| {
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|row| row["adapter"] == adapter).unwrap().clone()
    };
    assert_eq!(
        (&of("report.files")["remote"], &of("lifecycle")["remote"]),
        (&true.into(), &false.into())
    );
    assert_eq!(of("backup.set.health")["observes"], "backup_set");
}

#[tokio::test]
async fn a_server_does_not_start_on_a_domain_that_it_could_change_and_does_on_one_that_is_down() {
    let directory = tempfile::tempdir().unwrap();
    let admin = test_database().await;
    let error = Server::start(&settings(directory.path(), &admin)).await.unwrap_err();
    assert!(format!("{error:#}").contains("superuser"), "{error:#}");
    let nowhere = "postgres://reader:hunter2@127.0.0.1:1/x";
    Server::start(&settings(directory.path(), nowhere)).await.unwrap();
}

#[tokio::test]
async fn a_server_does_not_start_while_a_catalog_names_an_adapter_that_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path(), "postgres://reader@127.0.0.1:1/x");
    settings.adapters.domain_url = None;
    let strange = "[operation.\"inventory.sync\"]\nadapter = \"elsewhere\"";
    let catalog = include_str!("../../../ledger/catalog.toml")
        .replace("[operation.\"inventory.sync\"]", strange);
    let file = directory.path().join("catalog.toml");
    std::fs::write(&file, catalog).unwrap();
    settings.catalog = Some(file);
    let error = Server::start(&settings).await.unwrap_err();
    assert!(format!("{error:#}").contains("elsewhere for inventory.sync"), "{error:#}");
}

#[tokio::test]
async fn a_running_server_proves_the_loser_of_a_race_from_the_winners_review() {
    let directory = tempfile::tempdir().unwrap();
    let domain = DomainDatabase::in_database(&test_database().await).await.unwrap();
    sqlx::query(
        "INSERT INTO environment_reviews (id, workspace, environment, fingerprint, status) \
         VALUES (9001, 'main', 'production', 'raced', 'ready')",
    )
    .execute(&domain.pool)
    .await
    .unwrap();
    let settings = settings(directory.path(), &domain.url);
    let server = Server::start(&settings).await.unwrap();
    let ledger = server.ledger().clone();
    let main = ledger.store().workspace_by_name("main").await.unwrap().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));

    let run = ledger.new_run_id().unwrap();
    let name = |text: &str| Name::new(text).unwrap();
    let named = Named {
        operation: Some(name("environment.review.compose")),
        environment: Some(name("production")),
        fingerprint: Some(name("raced")),
        ..Named::default()
    };
    let report = Report::Failed {
        message: None,
        outcome: Outcome::Failed,
        reason_code: name("duplicate_fingerprint"),
        retryable: None,
    };
    let failed = SignalReport { named, origin: Origin::default(), report };
    let failed = Command::Run(run, RunCommand::Signal(Box::new(failed)));
    let answers = ledger.submit(main, vec![Submission::new(failed)], false).await.unwrap();
    let Answer::Recorded(receipt) = &answers[0] else { panic!("{answers:?}") };
    let projections = Projections::new(ledger).unwrap();
    assert!(projections.wait(main, receipt.position + 1, PATIENCE).await.unwrap());
    let standing =
        projections.view(main, AsOf::Now).await.unwrap().run(run).await.unwrap().unwrap();
    assert_eq!(standing.recorded.outcome, Outcome::Failed);
    assert_eq!(standing.now.actionability.status, Actionability::ResolvedByCurrentState);
    assert_eq!(standing.recorded.related.unwrap().to_string(), "environment_review/9001");

    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_program_shows_what_would_be_decided_of_a_run_and_records_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let domain = DomainDatabase::in_database(&test_database().await).await.unwrap();
    sqlx::query(
        "INSERT INTO environment_reviews (id, workspace, environment, fingerprint, status) \
         VALUES (9001, 'main', 'production', 'tried', 'ready')",
    )
    .execute(&domain.pool)
    .await
    .unwrap();
    let server = Server::start(&settings(directory.path(), &domain.url)).await.unwrap();
    let ledger = server.ledger().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
    let main = ledger.store().workspace_by_name("main").await.unwrap().unwrap();
    let run = ledger.new_run_id().unwrap();
    let name = |text: &str| Name::new(text).unwrap();
    let named = Named {
        operation: Some(name("environment.review.compose")),
        environment: Some(name("production")),
        fingerprint: Some(name("tried")),
        ..Named::default()
    };
    let report = Report::Started { attempt: None, worker: None };
    let started = SignalReport { named, origin: Origin::default(), report };
    let started = Command::Run(run, RunCommand::Signal(Box::new(started)));
    let answers = ledger.submit(main, vec![Submission::new(started)], false).await.unwrap();
    assert!(matches!(answers[0], Answer::Recorded(_)), "{answers:?}");
    let size = async || ledger.store().head(main).await.unwrap().unwrap().size();
    let before = size().await;
    // The program asks the read models, which follow.
    let projections = Projections::new(ledger.clone()).unwrap();
    assert!(projections.wait(main, before - 1, PATIENCE).await.unwrap());

    let id = run.to_string();
    let end = &id[id.len() - 8..];
    let check = async |text: &str, more: &[&str], domain: &str| {
        let arguments = [&["check", "--run", text], more].concat();
        adapters(directory.path(), &arguments, Some(domain)).await
    };
    let shown = check(end, &[], &domain.url).await;
    assert!(shown.status.success(), "{}", said(&shown));
    for words in ["says succeeded", "environment_review/9001", "would be recorded: succeeded"] {
        assert!(said(&shown).contains(words), "{words} is missing:\n{}", said(&shown));
    }
    let json = check(&id, &["--json", "--workspace", "main"], &domain.url).await;
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["would_record"]["related"]["id"], "9001");
    let broken = check(end, &[], "postgres://reader:hunter2@127.0.0.1:1/x").await;
    assert_eq!(broken.status.code(), Some(1));
    assert!(said(&broken).contains("unavailable") && !said(&broken).contains("hunter2"));
    let nobody = check("00000000-0000-4000-8000-000000000000", &[], &domain.url).await;
    assert_eq!(nobody.status.code(), Some(1), "{}", said(&nobody));
    assert_eq!(check("no", &[], &domain.url).await.status.code(), Some(2));
    assert_eq!(size().await, before);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_program_says_how_the_adapters_of_a_running_server_answer() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), "postgres://reader@127.0.0.1:1/x");
    let server = Server::start(&settings).await.unwrap();
    let url = format!("http://{}", server.address());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
    let health = adapters(directory.path(), &["health", "--url", &url], None).await;
    assert!(health.status.success(), "{}", said(&health));
    for word in ["lifecycle", "environment.review.compose", "works", "BACKLOG"] {
        assert!(said(&health).contains(word), "{word} is missing:\n{}", said(&health));
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

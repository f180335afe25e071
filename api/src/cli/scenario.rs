//! `runledger scenario`.

use std::path::PathBuf;

use runledger_ledger::store::StoreUrl;
use serde::Serialize;

use super::{Answer, Unusable, output};
use crate::scenario::file::Scenario;
use crate::scenario::{Engine, Report};

/// Test a catalog, or the rules themselves, by stories with a clock of their own.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Play scenarios, and say what did not come out as they expect.
    ///
    /// Exit codes: 0 all hold; 1 one does not; 2 a file cannot be read.
    Test(Arguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The scenario files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where they are played: in memory (sqlite), or in a schema of their own in the PostgreSQL
    /// database of a URL (postgres://…), which is dropped afterwards.
    #[arg(long, default_value = "sqlite", value_parser = store)]
    store: StoreUrl,
    /// Print one JSON object instead of lines for people.
    #[arg(long)]
    json: bool,
}

fn store(text: &str) -> Result<StoreUrl, String> {
    if text == "sqlite" {
        return Ok(StoreUrl::SqliteMemory);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(StoreUrl::Postgres(text.to_owned()));
    }
    Err("write sqlite, or the URL of a PostgreSQL database: postgres://…".to_owned())
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let Command::Test(arguments) = command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(test(arguments))
}

/// What came of all files.
#[derive(Serialize)]
struct Summary {
    scenarios: Vec<Report>,
    hold: usize,
    fail: usize,
    unreadable: Vec<String>,
}

async fn test(arguments: &Arguments) -> anyhow::Result<Answer> {
    let (mut scenarios, mut unreadable) = (Vec::new(), Vec::new());
    for path in &arguments.files {
        match Scenario::read(path) {
            Ok(scenario) if scenario.expects_nothing() => {
                let path = path.display();
                unreadable.push(anyhow::Error::new(Unusable(format!(
                    "{path} expects nothing, so it cannot fail; add an [[expect]]"
                ))));
            }
            Ok(scenario) => scenarios.push(scenario),
            Err(error) => unreadable.push(anyhow::Error::new(error)),
        }
    }
    let reports = if scenarios.is_empty() {
        Vec::new()
    } else {
        play(&arguments.store, &scenarios, arguments.json).await?
    };
    let hold = reports.iter().filter(|report| report.holds()).count();
    let fail = reports.len() - hold;
    if arguments.json {
        let unreadable = unreadable.iter().map(|error| format!("{error:#}")).collect();
        let summary = Summary { scenarios: reports, hold, fail, unreadable };
        output::line(serde_json::to_string_pretty(&summary)?);
    } else {
        unreadable.iter().for_each(output::error);
        output::line(closing(hold, fail, unreadable.len()));
    }
    if !unreadable.is_empty() {
        return Ok(Answer::Unusable);
    }
    Ok(if fail == 0 { Answer::Yes } else { Answer::No })
}

/// Plays them one after another, and tells of each at once, if not `silent`.
async fn play(
    store: &StoreUrl,
    scenarios: &[Scenario],
    silent: bool,
) -> anyhow::Result<Vec<Report>> {
    let engine = Engine::open(store).await?;
    let mut reports = Vec::with_capacity(scenarios.len());
    let mut failed = None;
    for scenario in scenarios {
        match engine.play(scenario).await {
            Ok(report) => {
                if !silent {
                    tell(&report);
                }
                reports.push(report);
            }
            Err(error) => {
                let context = format!("{} could not be played", scenario.path.display());
                failed = Some(anyhow::Error::new(error).context(context));
                break;
            }
        }
    }
    engine.close().await?;
    failed.map_or(Ok(reports), Err)
}

fn tell(report: &Report) {
    let (name, file) = (&report.name, report.file.display());
    let verdict = if report.holds() { "ok  " } else { "FAIL" };
    output::line(format!("{verdict}  {name}  ({file})"));
    for failure in &report.failures {
        output::line(format!("      {failure}"));
    }
}

fn closing(hold: usize, fail: usize, unreadable: usize) -> String {
    let all = hold + fail + unreadable;
    let noun = if all == 1 { "scenario" } else { "scenarios" };
    let mut line = format!("{all} {noun}: {hold} passed, {fail} failed");
    if unreadable > 0 {
        line.push_str(&format!(", {unreadable} could not be read"));
    }
    line
}

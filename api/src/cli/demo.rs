//! `runledger demo`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::Context;
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::queue::QueueVerdict;
use runledger_projections::texts::{Language, Texts};
use tempfile::TempDir;

use super::progress::Bar;
use super::runs::short;
use super::serve::{log_as, signals};
use super::table::{Cell, Row, Table};
use super::{Answer, output};
use crate::demo::{Demo, Kind, Shown};
use crate::settings::{Flags, Settings};

/// Where it listens if that is free and nobody says otherwise: where `runledger serve` would.
const LISTEN: &str = "127.0.0.1:7300";

/// Show what Runledger does, on a day of a small platform team.
///
/// Starts a server of its own, reports a day to it over its HTTP API, and leaves it running until
/// Ctrl-C. The settings of a real server, in the environment or a file, are not looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 ended by Ctrl-C; 1 failed; 2 the command line cannot be used")]
pub(super) struct Arguments {
    /// The address to answer on [default: 127.0.0.1:7300, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where to keep the data; it must hold no ledger yet [default: a directory that is removed at
    /// the end]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// An empty database: postgres://… or sqlite:FILE [default: ledger.db in the data directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let (settings, scratch) = settings(arguments)?;
    log_as(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(show(&settings, scratch.as_ref()))?;
    if let Some(scratch) = scratch {
        let path = scratch.path().display().to_string();
        scratch.close().with_context(|| format!("{path} could not be removed"))?;
    }
    Ok(Answer::Yes)
}

async fn show(settings: &Settings, scratch: Option<&TempDir>) -> anyhow::Result<()> {
    let stop = signals().context("signals cannot be listened for")?;
    tokio::pin!(stop);
    let bar = Bar::new("a day at Northwind");
    let played = |done, of| bar.at(done, of);
    let demo = tokio::select! {
        demo = Demo::play(settings, &played) => demo?,
        () = &mut stop => return Ok(()),
    };
    drop(bar);
    summary(&demo.shown().await?);
    places(&demo, settings, scratch.is_some())?;
    demo.go_on(stop).await
}

fn settings(arguments: &Arguments) -> anyhow::Result<(Settings, Option<TempDir>)> {
    let (data_dir, scratch) = match &arguments.data_dir {
        Some(data_dir) => (data_dir.clone(), None),
        None => {
            let scratch = tempfile::Builder::new().prefix("runledger-demo-").tempdir();
            let scratch = scratch.context("there is no place for the demo's data")?;
            (scratch.path().to_owned(), Some(scratch))
        }
    };
    let taken = || TcpListener::bind(LISTEN).is_err();
    let listen = arguments
        .listen
        .clone()
        .unwrap_or_else(|| if taken() { "127.0.0.1:0".to_owned() } else { LISTEN.to_owned() });
    let flags = Flags {
        data_dir: Some(text(&data_dir)?),
        database_url: arguments.database_url.clone(),
        listen: Some(listen),
        log: Some("warn".to_owned()),
        // It is played and thrown away, on any database that there is.
        allow_unsafe: Some("durability,database-role".to_owned()),
        ..Flags::default()
    };
    // Whatever is set for a real server is not meant for a demo.
    Ok((Settings::resolve(&flags, &|_| None)?, scratch))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("the data directory {} must be UTF-8", path.display()))
}

/// Which verdicts the day ends with, and where each may be seen.
fn summary(shown: &Shown) {
    let texts = Texts::of(Language::En);
    output::line(
        Cell::new(format!("A day of {} runs at Northwind, and what is true now:", shown.runs))
            .bold(),
    );
    let freshness = Freshness::ALL.iter().map(|one| (one.as_str(), texts.freshness(*one)));
    part("FRESHNESS", Kind::Freshness, shown, freshness);
    let queues = QueueVerdict::ALL.iter().map(|one| (one.as_str(), texts.queue(*one)));
    part("QUEUES", Kind::Queue, shown, queues);
    let actionability = Actionability::ALL.iter();
    let actionability = actionability.map(|one| (one.as_str(), texts.actionability(*one)));
    part("ACTIONABILITY", Kind::Actionability, shown, actionability);
}

fn part(
    name: &'static str,
    kind: Kind,
    shown: &Shown,
    words: impl Iterator<Item = (&'static str, String)>,
) {
    output::line("");
    let mut table = Table::new([name, "", "FOR EXAMPLE"]).with_least([32, 5, 11]);
    for (word, label) in words {
        let verdict = shown.verdict(kind, word);
        let count = verdict.map_or(0, |verdict| verdict.count);
        let example = verdict.map(|verdict| short(&verdict.example).to_owned());
        let example = Cell::maybe(example).dim();
        table.row(Row::of([Cell::new(label), Cell::new(format!("{count:>5}")), example]));
    }
    table.lines().iter().for_each(output::line);
}

/// Where to look.
fn places(demo: &Demo, settings: &Settings, scratch: bool) -> anyhow::Result<()> {
    let (url, token, data) = (demo.url(), settings.token_file(), settings.data_dir.display());
    let workspace = &settings.workspace;
    let api = format!("{url}/v1/workspaces/{workspace}");
    let token = token.display();
    output::line("");
    output::line(Cell::new(format!("The server is at {url} and goes on until Ctrl-C.")).bold());
    output::line(format!("  data   {data}{}", if scratch { ", removed at the end" } else { "" }));
    output::line(format!("  token  {token}"));
    output::line("");
    output::line("Open the dashboard (the link works once):");
    output::line(format!("  {}", demo.sign_in_link()?));
    output::line("");
    output::line("Look around, in another terminal:");
    output::line(format!("  export RUNLEDGER_URL={url} RUNLEDGER_DATA_DIR={data}"));
    for command in [
        "overview",
        "follow-ups",
        "queues",
        "runs list --freshness stale_running",
        "runs show ID                     # the end of an id is enough",
        "runs list --as-of 6h             # as it was six hours ago",
        "log tail -f",
        "verify",
    ] {
        output::line(format!("  runledger {command}"));
    }
    output::line("");
    output::line("Or over HTTP:");
    for path in ["follow-ups", "queues", "runs?actionability=superseded_by_later_success"] {
        output::line(format!("  curl -H \"Authorization: Bearer $(cat {token})\" '{api}/{path}'"));
    }
    Ok(())
}

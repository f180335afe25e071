//! `runledger adapters`.

use anyhow::Context;
use runledger_adapters::registry::Row as Handled;
use runledger_ledger::catalog::Catalog;
use serde::Serialize;

use super::table::{Cell, Row, Table};
use super::{Answer, Unusable, block_on, output};
use crate::adapters::{AdapterError, Adapters};
use crate::server;
use crate::settings::{Flags, Settings};

/// What may be done with adapters.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(List),
    Check(Check),
}

/// Show which adapter judges runs of which operation type, and which are idle and why.
///
/// It reads the settings of a server on this machine, and asks nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 shown; 1 the adapters do not fit each other or the catalog; 2 the command line, a
setting or a file cannot be used")]
pub(super) struct List {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Check the adapters, and connect to what they read.
///
/// The domain database must answer, and its role must not be able to write; every query of a probe
/// must be one that the database understands.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing is wrong; 1 something is; 2 the command line, a setting or a file cannot be
used")]
pub(super) struct Check {
    #[command(flatten)]
    flags: Flags,
}

/// What handles an operation type.
#[derive(Serialize)]
struct Line<'a> {
    operation: &'a str,
    adapter: Option<&'a str>,
    version: Option<u32>,
    reads: Option<&'a str>,
    idle: Option<&'a str>,
    in_catalog: bool,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let (Command::List(List { flags, .. }) | Command::Check(Check { flags })) = command;
    let settings = Settings::resolve(flags, &|name| std::env::var(name).ok())?;
    block_on(async {
        let catalog = server::catalog(&settings)?;
        let adapters = match Adapters::set_up(&settings.adapters, &catalog) {
            Ok(adapters) => adapters,
            Err(AdapterError::Registry(errors)) => {
                errors.errors().iter().for_each(output::line);
                return Ok(Answer::No);
            }
            Err(error) => return Err(anyhow::Error::new(Unusable(whole(&error)))),
        };
        match command {
            Command::List(list) => listed(&adapters, &catalog, list.json),
            Command::Check(_) => Ok(checked(&adapters, &catalog).await),
        }
    })
}

fn listed(adapters: &Adapters, catalog: &Catalog, json: bool) -> anyhow::Result<Answer> {
    let rows = adapters.registry.rows(catalog);
    if json {
        let lines: Vec<Line<'_>> = rows.iter().map(line).collect();
        let text = serde_json::to_string_pretty(&lines).context("the list has no JSON form")?;
        output::line(text);
        return Ok(Answer::Yes);
    }
    let mut table = Table::new(["OPERATION", "ADAPTER", "VERSION", "READS", "STATE"]);
    for row in &rows {
        let Line { operation, adapter, version, reads, idle, in_catalog } = line(row);
        let state = match (idle, in_catalog) {
            (Some(_), _) => "idle",
            (None, true) => "works",
            (None, false) => "works; not in the catalog",
        };
        table.row(Row::of([
            Cell::new(operation.to_owned()).bold(),
            Cell::maybe(adapter.map(str::to_owned)),
            Cell::maybe(version.map(|version| version.to_string())),
            Cell::maybe(reads.map(str::to_owned)),
            Cell::new(state.to_owned()),
        ]));
    }
    table.lines().iter().for_each(output::line);
    for row in &rows {
        if let (Some((adapter, _)), Some(why)) = (&row.adapter, &row.idle) {
            output::note(format!("{adapter} is idle: {why}"));
        }
    }
    Ok(Answer::Yes)
}

async fn checked(adapters: &Adapters, catalog: &Catalog) -> Answer {
    match adapters.check().await {
        Ok(()) => {
            let rows = adapters.registry.rows(catalog);
            let idle = rows.iter().filter(|row| row.idle.is_some()).count();
            output::line(match &adapters.domain {
                Some(_) => "the domain database answers, and its role cannot write".to_owned(),
                None => format!("no domain database is configured; {idle} operations are idle"),
            });
            Answer::Yes
        }
        Err(error) => {
            output::line(whole(&error));
            Answer::No
        }
    }
}

/// An error and what it comes from.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn line(row: &Handled) -> Line<'_> {
    Line {
        operation: &row.operation,
        adapter: row.adapter.as_ref().map(|(name, _)| name.as_str()),
        version: row.adapter.as_ref().map(|(_, version)| *version),
        reads: row.reads.as_deref(),
        idle: row.idle.as_deref(),
        in_catalog: row.in_catalog,
    }
}

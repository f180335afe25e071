//! `runledger catalog`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use runledger_ledger::catalog::Catalog;
use runledger_projections::OperationStanding;
use serde::Deserialize;

use super::connection::Connection;
use super::runs::counted;
use super::{Answer, Unusable, block_on, output};

/// What may be done with catalogs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Check(Check),
}

/// Check a catalog of operations, or what has arrived in a workspace that its catalog does not name.
///
/// Says everything that is wrong with a file at once, by line. With --workspace, a running server
/// is asked which operations its runs name that nobody has classified.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger catalog check                       the built-in catalog
  runledger catalog check catalog.toml          a file, before it is published
  runledger catalog check --workspace main      what has arrived unclassified

Exit codes: 0 nothing is wrong; 1 something is; 2 the command line, a setting or the file cannot be
used; 3 the server cannot be reached, or refused")]
pub(super) struct Check {
    /// The catalog, a TOML file; the built-in one if left out
    #[arg(value_name = "FILE")]
    #[arg(conflicts_with = "workspace")]
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Deserialize)]
struct Operations {
    items: Vec<OperationStanding>,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let Command::Check(check) = command;
    match &check.file {
        Some(file) => check_file(file),
        None if check.connection.names_a_workspace() => block_on(arrived(&check.connection)),
        None => {
            told("the built-in catalog", &Catalog::built_in());
            Ok(Answer::Yes)
        }
    }
}

fn check_file(file: &Path) -> anyhow::Result<Answer> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| anyhow::Error::new(Unusable(format!("{name} cannot be read: {error}"))))?;
    match Catalog::parse(&text) {
        Ok(catalog) => {
            told(name, &catalog);
            Ok(Answer::Yes)
        }
        Err(errors) => {
            for error in errors.errors() {
                match error.line {
                    Some(line) => output::line(format!("{name}:{line}: {}", error.message)),
                    None => output::line(format!("{name}: {}", error.message)),
                }
            }
            Ok(Answer::No)
        }
    }
}

/// What has arrived that nobody has classified.
async fn arrived(connection: &Connection) -> anyhow::Result<Answer> {
    let connected = connection.connect(None).await?;
    let answer = connected.get(&["operations"], &[]).await?;
    let Operations { mut items } = serde_json::from_str(&answer)
        .context("the server's list of operations cannot be understood")?;
    let known = items.len();
    items.retain(|operation| !operation.classified);
    let workspace = &connected.workspace;
    if items.is_empty() {
        output::line(format!(
            "{workspace}: nothing is wrong; all {known} operations are classified"
        ));
        return Ok(Answer::Yes);
    }
    for operation in &items {
        let (name, runs) = (&operation.operation, counted(operation.counts.runs));
        output::line(format!("{workspace}: {name} is in no family; {runs} of it"));
    }
    output::note(
        "put them into the catalog, and publish it: POST /v1/workspaces/{workspace}/catalog",
    );
    Ok(Answer::No)
}

fn told(name: impl std::fmt::Display, catalog: &Catalog) {
    let (operations, families) = (catalog.operations().count(), catalog.families().count());
    output::line(format!(
        "{name}: nothing is wrong; {operations} operations in {families} families"
    ));
}

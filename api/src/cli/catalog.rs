//! `runledger catalog`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use runledger_ledger::catalog::Catalog;
use runledger_projections::OperationStanding;
use serde::{Deserialize, Serialize};

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
/// is asked which operations its runs name that nobody has classified. Whether the adapters that it
/// names are there, `runledger adapters list --catalog FILE` says.
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
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Deserialize)]
struct Operations {
    items: Vec<OperationStanding>,
}

/// What a check found.
#[derive(Default, Serialize)]
struct Found {
    /// What was checked: a file, the built-in catalog, or a workspace.
    checked: String,
    /// Whether nothing is wrong with it.
    sound: bool,
    /// Operations that it names, or that have arrived in it.
    operations: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    families: Option<usize>,
    /// What is wrong with it.
    problems: Vec<Wrong>,
}

#[derive(Serialize)]
struct Wrong {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The operation that nobody has classified.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    detail: String,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let Command::Check(check) = command;
    let of_workspace = check.file.is_none() && check.connection.names_a_workspace();
    let found = match &check.file {
        Some(file) => of_file(file)?,
        None if of_workspace => block_on(arrived(&check.connection))?,
        None => sound("the built-in catalog".to_owned(), &Catalog::built_in()),
    };
    if check.json {
        output::line(serde_json::to_string_pretty(&found)?);
    } else {
        found.print(of_workspace);
    }
    Ok(if found.sound { Answer::Yes } else { Answer::No })
}

fn of_file(file: &Path) -> anyhow::Result<Found> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| anyhow::Error::new(Unusable(format!("{name} cannot be read: {error}"))))?;
    Ok(match Catalog::parse(&text) {
        Ok(catalog) => sound(name, &catalog),
        Err(errors) => {
            let wrong = errors.errors().iter().map(|error| Wrong {
                line: error.line,
                operation: None,
                detail: error.message.to_string(),
            });
            Found { checked: name, problems: wrong.collect(), ..Found::default() }
        }
    })
}

/// What has arrived that nobody has classified.
async fn arrived(connection: &Connection) -> anyhow::Result<Found> {
    let connected = connection.connect(None).await?;
    let answer = connected.get(&["operations"], &[]).await?;
    let Operations { mut items } = serde_json::from_str(&answer)
        .context("the server's list of operations cannot be understood")?;
    let operations = items.len();
    items.retain(|operation| !operation.classified);
    let wrong = items.into_iter().map(|operation| {
        let (name, runs) = (operation.operation, counted(operation.counts.runs));
        Wrong {
            line: None,
            detail: format!("{name} is in no family; {runs} of it"),
            operation: Some(name),
        }
    });
    let problems: Vec<Wrong> = wrong.collect();
    let checked = connected.workspace;
    Ok(Found { checked, sound: problems.is_empty(), operations, families: None, problems })
}

fn sound(checked: String, catalog: &Catalog) -> Found {
    let (operations, families) = (catalog.operations().count(), catalog.families().count());
    Found { checked, sound: true, operations, families: Some(families), problems: Vec::new() }
}

impl Found {
    fn print(&self, of_workspace: bool) {
        let Found { checked, operations, .. } = self;
        for Wrong { line, detail, .. } in &self.problems {
            match line {
                Some(line) => output::line(format!("{checked}:{line}: {detail}")),
                None => output::line(format!("{checked}: {detail}")),
            }
        }
        match self.families {
            _ if !self.sound && of_workspace => output::note(format!(
                "put them into the catalog, and publish it: POST /v1/workspaces/{checked}/catalog?reason=…"
            )),
            _ if !self.sound => {}
            Some(families) => output::line(format!(
                "{checked}: nothing is wrong; {operations} operations in {families} families"
            )),
            None => output::line(format!(
                "{checked}: nothing is wrong; all {operations} operations are classified"
            )),
        }
    }
}

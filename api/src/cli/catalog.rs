//! `runledger catalog`.

use std::path::{Path, PathBuf};

use runledger_ledger::catalog::Catalog;

use super::{Answer, Unusable, output};

/// What may be done with catalogs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Check(Check),
}

/// Check a catalog of operations.
///
/// Says everything that is wrong with it at once, by line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger catalog check                       the built-in catalog
  runledger catalog check catalog.toml          a file, before it is published

Exit codes: 0 nothing is wrong; 1 something is; 2 the file cannot be read")]
pub(super) struct Check {
    /// The catalog, a TOML file; the built-in one if left out
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let Command::Check(check) = command;
    match &check.file {
        Some(file) => check_file(file),
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

fn told(name: impl std::fmt::Display, catalog: &Catalog) {
    let (operations, families) = (catalog.operations().count(), catalog.families().count());
    output::line(format!(
        "{name}: nothing is wrong; {operations} operations in {families} families"
    ));
}

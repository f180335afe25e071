//! `runledger audit`: what auditors take away.

mod request;

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context;
use runledger_ledger::time::Moment;
use runledger_ledger::words::RunId;

use super::maintenance::{Database, Which};
use super::{Answer, Unusable, block_on, output};
use crate::pack::{self, Order, Scope};
use crate::signing_key::KeySource;

/// What to hand to an auditor.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Export(Box<Export>),
    Request(Box<request::Request>),
}

/// Write an audit pack: a zip file that can be verified without a server.
///
/// The same log, size, scope and requester give the same bytes. `runledger verify pack` verifies
/// it, and so can tools of others.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger audit export --workspace main --output main.zip
  runledger audit export --workspace main --operation restore.execute --from 2026-01-01T00:00:00Z \\
    --requester 'jane@auditors.example' --output restores.zip
  runledger verify pack main.zip --policy trust.policy")]
pub(super) struct Export {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// The file to write; it must not be there yet
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Who asks for it
    #[arg(long, value_name = "NAME", default_value = "")]
    requester: String,
    /// The log as it was with so many events, of which a checkpoint was signed [default: the last
    /// checkpoint]
    #[arg(long, value_name = "EVENTS")]
    size: Option<u64>,
    /// Only the events of this run
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Only the events of runs of this operation, by its canonical name
    #[arg(long, value_name = "OPERATION")]
    operation: Option<String>,
    /// Only what was recorded then or later
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Only what was recorded before
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let export = match command {
        Command::Export(export) => export,
        Command::Request(request) => return request::run(request),
    };
    let settings = export.database.settings()?;
    let source = KeySource::find(&settings.data_dir, |name| std::env::var(name).ok());
    let keys = source.load()?;
    block_on(async {
        let projections = export.database.open().await?;
        let store = projections.ledger().store();
        let (workspace, name) = export.which.one(store).await?;
        let Export { run, operation, from, to, .. } = &**export;
        let scope = Scope { run: *run, operation: operation.clone(), from: *from, to: *to };
        let requester = export.requester.clone();
        let order = Order { workspace, name, requester, size: export.size, scope };
        let path = export.output.display();
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&export.output);
        let file = file.map_err(|error| Unusable(format!("{path} cannot be made: {error}")))?;
        let mut out = BufWriter::new(file);
        let made = pack::export(store, &keys, &order, &mut out).await;
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                // Half a pack is none.
                drop(out);
                let _ = std::fs::remove_file(&export.output);
                return Err(error.context("the pack was not made"));
            }
        };
        out.flush().context("the pack could not be written")?;
        store.close().await;
        output::line(format!("{path}: {} events of a log of {}", made.events, made.size));
        output::line(format!("  manifest {}", made.manifest));
        Ok(Answer::Yes)
    })
}

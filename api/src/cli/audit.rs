//! `runledger audit`: what auditors take away.

mod request;

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context;
use runledger_ledger::access::{AccessChange, AuditPackRead};
use runledger_ledger::event::Actor;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::submission::{Answer as Recorded, Command, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Note, RunId, WorkspaceId};
use runledger_ledger::workspace::WorkspaceCommand;

use super::maintenance::{Database, Which};
use super::{Answer, Unusable, block_on, output};
use crate::pack::{self, Made, Order, Scope};
use crate::reason;
use crate::signing_key::KeySource;

/// What to hand to an auditor.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Audit {
    Export(Box<Export>),
    Request(Box<request::Request>),
}

/// Write an audit pack: a zip file that can be verified without a server.
///
/// The same log, size, scope, requester and witnesses (the policy file of the settings) give the same bytes. `runledger verify pack` verifies
/// it, and so can tools of others. The log says who made it and why, as it does of a pack that a
/// server hands out; where that cannot be recorded, there is no pack.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger audit export --workspace main --output main.zip --reason 'yearly audit'
  runledger audit export --workspace main --operation restore.execute --from 2026-01-01T00:00:00Z \\
    --requester 'jane@auditors.example' --reason 'case 4711' --output restores.zip
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
    /// Why it is made. The log says who has made it, and why
    #[arg(long, value_name = "TEXT", value_parser = said)]
    reason: String,
    /// The log as it was with so many events, of which a checkpoint was signed [default: the last
    /// checkpoint]
    #[arg(long, value_name = "EVENTS")]
    size: Option<u64>,
    /// Only the events of this run
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Only the events of runs of this operation; an alias in the catalog is resolved
    #[arg(long, value_name = "OPERATION")]
    operation: Option<String>,
    /// Only the events of runs of this environment, and of subjects in it
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only what was recorded then or later
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Only what was recorded before
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
}

pub(super) fn run(command: &Audit) -> anyhow::Result<Answer> {
    let export = match command {
        Audit::Export(export) => export,
        Audit::Request(request) => return request::run(request),
    };
    let settings = export.database.settings()?;
    let source = KeySource::find(&settings.data_dir, |name| std::env::var(name).ok());
    let keys = source.load()?;
    let witnesses = crate::server::witnesses(&settings)?;
    block_on(async {
        let projections = export.database.open().await?;
        let store = projections.ledger().store();
        let (workspace, name) = export.which.one(store).await?;
        let Export { run, operation, environment, from, to, .. } = &**export;
        let (operation, environment) = (operation.clone(), environment.clone());
        let scope = Scope { run: *run, operation, environment, from: *from, to: *to };
        scope.check().map_err(Unusable)?;
        let requester = export.requester.clone();
        let order = Order { workspace, name, requester, size: export.size, scope, witnesses };
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
        // A pack that nobody knows to be read is read by nobody.
        if let Err(error) = note_read(projections.ledger(), workspace, export, &made).await {
            let _ = std::fs::remove_file(&export.output);
            return Err(error.context(
                "the log could not say who made the pack, so there is none; it takes a database role that \
                 may record (the one of `runledger serve`), or a server that makes the pack \
                 (`runledger audit request`)",
            ));
        }
        store.close().await;
        output::line(format!("{path}: {} events of a log of {}", made.events, made.size));
        output::line(format!("  manifest {}", made.manifest));
        Ok(Answer::Yes)
    })
}

/// A reason that says something.
pub(super) fn said(text: &str) -> Result<String, &'static str> {
    match reason::says_something(text) {
        true => Ok(text.to_owned()),
        false => Err(reason::BLANK),
    }
}

/// Has the log say that a pack was made, by whom and why.
async fn note_read(
    ledger: &Ledger,
    workspace: WorkspaceId,
    export: &Export,
    made: &Made,
) -> anyhow::Result<()> {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "somebody".to_owned());
    let by = if export.requester.is_empty() { &user } else { &export.requester };
    let actor = Actor { id: Name::new(by)?, kind: Name::new("user")? };
    let mut id = [0; 16];
    let hash = hex::decode(&made.manifest)?;
    id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    let read = AuditPackRead {
        manifest: Some(made.manifest.clone()),
        pack: uuid::Builder::from_custom_bytes(id).into_uuid(),
        reason: Note::new(&export.reason)?,
    };
    let command = WorkspaceCommand::NoteAccess(AccessChange::AuditPackRead(read));
    let submission = Submission::new(Command::Workspace(command)).by(actor);
    let answers = ledger.submit(workspace, vec![submission], false).await?;
    match answers.as_slice() {
        [Recorded::Recorded(_)] => Ok(()),
        refused => anyhow::bail!("it was refused: {refused:?}"),
    }
}

//! `runledger timestamp`: an authority that has nothing to do with us says when a checkpoint was there
//! (RFC 3161, specs/0030).

use std::path::{Path, PathBuf};

use anyhow::Context;
use runledger_ledger::access::{AccessChange, CheckpointTimestamped};
use runledger_ledger::event::{Actor, AnyEvent, Recorded, Stream};
use runledger_ledger::store::Store;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, WorkspaceId};
use runledger_ledger::workspace::WorkspaceEvent;
use runledger_proof::timestamp;
use sha2::{Digest, Sha256};

use super::database::note;
use super::maintenance::{Database, Which};
use super::{Answer, Unusable, block_on, output};

/// Checkpoints and events that are read in one go.
const PAGE: u32 = 1_000;

/// What may be done about timestamps.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Request(Request),
    Add(Add),
    List(List),
}

/// Write a request for a timestamp of the last checkpoint, and the checkpoint itself.
///
/// The request (FILE) is what any authority of RFC 3161 takes. The checkpoint is written beside it, with
/// the ending `.note`: it is what the answer will be of, byte by byte. The same checkpoint gives the same
/// bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger timestamp request --workspace main --output today.tsq
  curl -s -H 'Content-Type: application/timestamp-query' --data-binary @today.tsq \\
    https://tsa.example/ > today.tsr
  openssl ts -verify -data today.note -in today.tsr -CAfile authority.pem
  runledger timestamp add today.tsr --workspace main --by Ada")]
pub(super) struct Request {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// The file to write; neither it nor the one beside it must be there yet
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Keep the answer of an authority, in the log.
///
/// It must be of a checkpoint of this log that is in the database. Whether the authority has signed it
/// is not looked at: verify that first, with `openssl ts -verify`. Audit packs have it from then on, and
/// `runledger verify` compares the log with it.
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// The answer of the authority
    #[arg(value_name = "FILE")]
    answer: PathBuf,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// Who has asked for it
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// Show of which checkpoints the log has a timestamp.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    match command {
        Command::Request(request) => block_on(ask(request)),
        Command::Add(add) => block_on(keep(add)),
        Command::List(list) => block_on(show(list)),
    }
}

async fn ask(request: &Request) -> anyhow::Result<Answer> {
    let projections = request.database.open_as_it_is().await?;
    let store = projections.ledger().store();
    let (workspace, _) = request.which.one(store).await?;
    let last = store.last_checkpoint(workspace).await?;
    let last =
        last.context("no checkpoint of the log was signed yet; a running server signs one")?;
    let beside = request.output.with_extension("note");
    if beside == request.output {
        let why = "the ending .note is for the checkpoint; name the request otherwise";
        return Err(Unusable(why.to_owned()).into());
    }
    write(&request.output, &timestamp::request(&last.note))?;
    if let Err(error) = write(&beside, &last.note) {
        // Half of it is none.
        let _ = std::fs::remove_file(&request.output);
        return Err(error);
    }
    store.close().await;
    let (file, note) = (request.output.display(), beside.display());
    output::line(format!("{file}: asks when the checkpoint of {} events was there", last.size));
    output::line(format!("  {note} is that checkpoint"));
    Ok(Answer::Yes)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let made = file.and_then(|mut file| file.write_all(bytes));
    Ok(made.map_err(|error| Unusable(format!("{} cannot be made: {error}", path.display())))?)
}

async fn keep(add: &Add) -> anyhow::Result<Answer> {
    let by = Name::new(&add.by).map_err(|error| Unusable(format!("--by {error}")))?;
    let actor = Actor { id: by, kind: Name::new("user")? };
    let path = add.answer.display();
    let answer = std::fs::read(&add.answer)
        .map_err(|error| Unusable(format!("{path} cannot be read: {error}")))?;
    let stamped = match timestamp::read(&answer) {
        Ok(stamped) => stamped,
        Err(error) => return Err(Unusable(format!("{path}: {error}")).into()),
    };
    let projections = add.database.open().await?;
    let store = projections.ledger().store();
    let (workspace, name) = add.which.one(store).await?;
    let Some(note_of) = checkpoint(store, workspace, &stamped.imprint).await? else {
        output::line(format!("{path}: it is of no checkpoint of {name} that is in the database"));
        return Ok(Answer::No);
    };
    let told = match CheckpointTimestamped::new(workspace, &note_of, &answer) {
        Ok(told) => told,
        Err(why) => {
            output::line(format!("{path}: {why}"));
            return Ok(Answer::No);
        }
    };
    let (size, at) = (told.size, told.stamped_at);
    if kept(store, workspace).await?.iter().any(|(_, _, there)| *there == told) {
        output::line(format!("{path}: the log has it already"));
        return Ok(Answer::Yes);
    }
    let change = AccessChange::CheckpointTimestamped(told);
    note(projections.ledger(), workspace, change, &actor).await?;
    store.close().await;
    output::line(format!("{name}: the checkpoint of {size} events was there at {at}, says {path}"));
    Ok(Answer::Yes)
}

/// The checkpoint whose bytes have this hash.
async fn checkpoint(
    store: &Store,
    workspace: WorkspaceId,
    imprint: &[u8],
) -> anyhow::Result<Option<Vec<u8>>> {
    let mut from = 0;
    loop {
        let page = store.checkpoints(workspace, from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        from = last.size + 1;
        let is_it = |note: &Vec<u8>| Sha256::digest(note)[..] == *imprint;
        if let Some(note) = page.into_iter().map(|one| one.note).find(is_it) {
            return Ok(Some(note));
        }
    }
}

/// Every timestamp that the log has, with its place and when it was recorded.
async fn kept(
    store: &Store,
    workspace: WorkspaceId,
) -> anyhow::Result<Vec<(u64, Moment, CheckpointTimestamped)>> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = store.stream(workspace, Stream::workspace(workspace), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Recorded::decode(&last.body)?.sequence;
        for stored in &page {
            let event = Recorded::decode(&stored.body)?;
            if let AnyEvent::Workspace(WorkspaceEvent::CheckpointTimestamped(told)) =
                event.fact.event
            {
                found.push((event.position, event.fact.recorded_at, told));
            }
        }
    }
}

async fn show(list: &List) -> anyhow::Result<Answer> {
    let projections = list.database.open_as_it_is().await?;
    let store = projections.ledger().store();
    for (workspace, name) in list.which.find(store).await? {
        for (position, recorded_at, told) in kept(store, workspace).await? {
            let CheckpointTimestamped { size, stamped_at, .. } = told;
            output::line(format!(
                "{name}: {size} events were there at {stamped_at}, as recorded at {position}, {recorded_at}"
            ));
        }
    }
    store.close().await;
    Ok(Answer::Yes)
}

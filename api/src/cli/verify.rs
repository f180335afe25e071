//! `runledger verify`: whether history is what it was, by whatever evidence there is.
//!
//! What is trusted comes from the caller: a policy file, and checkpoints that somebody kept. No key
//! that a server hands out is believed.

mod database;
mod evidence;
mod pack;
mod receipt;
mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use runledger_ledger::audit::ArchivedRange;
use runledger_proof::erasure::Settled;
use runledger_proof::policy::{Distrust, Policy};
use runledger_proof::witness::Seen;

use super::{Answer, Unusable, output};

const EXIT_CODES: &str = "\
Examples:
  runledger verify
  runledger verify --workspace main --database-url postgres://runledger@db/ledger --json
  runledger verify database --policy trust.policy --checkpoint kept-last-year.txt
  runledger verify url https://ledger.example/v1/workspaces/main/log --policy trust.policy
  runledger verify pack main.zip --policy trust.policy
  runledger verify receipt 270.tlog-proof --event event.json --policy trust.policy

Exit codes: 0 all is intact; 1 something differs, or it failed; 2 it could not be verified to the end, or
the command line or a file cannot be used; 3 nobody whom the policy trusts has signed it, or a part of a
pack's history";

/// Verify a database (which is what it does if nothing else is said), a server, an audit pack, or a
/// receipt.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub(super) struct Verify {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    database: database::OfDatabase,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Database(Box<database::OfDatabase>),
    Url(url::OfUrl),
    Pack(pack::OfPack),
    Receipt(receipt::OfReceipt),
}

pub(super) fn run(verify: &Verify) -> anyhow::Result<Answer> {
    let answer = match &verify.what {
        None => database::run(&verify.database),
        Some(What::Database(database)) => database::run(database),
        Some(What::Url(url)) => url::run(url),
        Some(What::Pack(pack)) => pack::run(pack),
        Some(What::Receipt(receipt)) => receipt::run(receipt),
    };
    // A checkpoint that was handed in and that nobody trusted has signed says nothing about the log.
    match answer {
        Err(error) => match error.downcast_ref::<Unbelieved>() {
            Some(Unbelieved(Distrust::UnknownKey { .. } | Distrust::NoQuorum)) => {
                output::note(format!("{error:#}"));
                Ok(Answer::UnknownKey)
            }
            _ => Err(error),
        },
        answer => answer,
    }
}

/// Reads a policy file.
pub(super) fn policy(path: &Path) -> anyhow::Result<Policy> {
    Ok(Policy::parse(&read(path)?)
        .map_err(|error| Unusable(format!("{} is no trust policy: {error}", path.display())))?)
}

/// Reads a file that the command line names.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(std::fs::read(path)
        .map_err(|error| Unusable(format!("{} cannot be read: {error}", path.display())))?)
}

/// What checkpoints that somebody kept say of the log with this origin, or of any. They must be
/// signed by whom the policy trusts, if there is one.
fn kept(files: &[PathBuf], policy: Option<&Policy>) -> anyhow::Result<Vec<(String, Seen)>> {
    let mut kept = Vec::new();
    for file in files {
        let bytes = read(file)?;
        let name = file.display();
        let checkpoint = match policy {
            Some(policy) => policy.believe(&bytes).map(|believed| believed.checkpoint),
            None => runledger_proof::note::Note::parse(&bytes).map_err(Distrust::NoNote).and_then(
                |note| {
                    runledger_proof::checkpoint::Checkpoint::parse(&note.text)
                        .map_err(Distrust::NoCheckpoint)
                },
            ),
        };
        let checkpoint = checkpoint
            .map_err(Unbelieved)
            .with_context(|| format!("the checkpoint in {name} is not believed"))?;
        let seen = Seen { size: checkpoint.size, root: checkpoint.root };
        kept.push((checkpoint.origin, seen));
    }
    Ok(kept)
}

/// A checkpoint that is not believed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unbelieved(Distrust);

/// Says which events were erased: that is no damage, and is not kept quiet about either.
pub(super) fn print_erased(erased: &BTreeMap<u64, String>) {
    let settled = Settled { erased: erased.clone(), unexplained: Vec::new() };
    if let Some(positions) = settled.in_words() {
        let erasures: BTreeSet<&String> = erased.values().collect();
        let by: Vec<&str> = erasures.into_iter().map(String::as_str).collect();
        output::line(format!("  erased at {positions}, by {}", by.join(", ")));
    }
}

/// Says which bodies are in an archive, and whether they were read there.
fn print_archived(range: &ArchivedRange) {
    let ArchivedRange { archive, from, to, place, digest, bodies, verified, why } = range;
    let read = match why {
        None => "read there, and are what was recorded".to_owned(),
        Some(why) => format!(
            "{verified} of them read there; the others were not verified: {why} (name the directory \
             with --archive)"
        ),
    };
    output::line(format!(
        "  archived at {from} to {}, in {place}: {bodies} bodies, {read}",
        to.saturating_sub(1)
    ));
    output::line(format!("    archive {archive}, sha256 {digest}"));
}

/// What the shell is told of a checkpoint that is not believed; standard output says why.
pub(super) fn distrusted(what: &str, distrust: &Distrust) -> Answer {
    output::line(format!("{what} is not believed: {distrust}"));
    if let Some(cause) = std::error::Error::source(distrust) {
        output::line(format!("  {cause}"));
    }
    match distrust {
        Distrust::UnknownKey { .. } | Distrust::NoQuorum => Answer::UnknownKey,
        Distrust::NoNote(_) | Distrust::NoCheckpoint(_) | Distrust::Forged(_) | Distrust::Other => {
            Answer::No
        }
    }
}

//! `runledger keys replace`: the keys that signed are lost, and others take their place (specs/0029).

use anyhow::Context;
use runledger_ledger::checkpoints::{Anchors, Keys, SignError, Signer};
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::store::Store;
use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::note::Note as Signed;

use super::super::maintenance::Database;
use super::super::said::Said;
use super::super::{Answer, Unusable, block_on, output};
use crate::recorded::DIRECTORY;
use crate::signing_key::KeySource;

/// Let other keys sign on where those that signed are lost.
///
/// Where the file `signing-key` is gone, a new key is made, with the name of the old one. Every log that
/// was signed says that other keys sign it from here on (`key.rotated`), who said so and why. Nobody who
/// trusts the old keys alone can verify what is signed from now on: hand a new policy file out. While the
/// old key is there, use `rotate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  runledger keys replace --by Ada --reason 'the disk with the key is broken, and there is no backup'")]
pub(in crate::cli) struct Replace {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    said: Said,
}

pub(super) fn run(replace: &Replace) -> anyhow::Result<Answer> {
    let (actor, reason) = replace.said.checked()?;
    let settings = replace.database.settings()?;
    let source = KeySource::find(&settings.data_dir, |name| std::env::var(name).ok());
    block_on(async {
        let projections = replace.database.open().await?;
        let ledger = projections.ledger();
        let keys = keys(ledger.store(), &source).await?;
        let anchors = Anchors::new(settings.data_dir.join(DIRECTORY));
        let signer = Signer::new(ledger.store().clone(), Clock::system(), anchors);
        let mut replaced = 0_usize;
        for (log, name) in ledger.store().workspaces().await? {
            match signer.knows(log, &keys).await {
                Ok(()) => continue,
                Err(SignError::Keys { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            super::say(ledger, log, &keys, (&actor, &reason)).await?;
            output::line(format!("{name}: says that other keys sign it from here on"));
            replaced += 1;
        }
        ledger.store().close().await;
        if replaced == 0 {
            output::line("the keys that are here have signed every log; nothing is to be replaced");
        } else {
            output::note("hand a new policy file out: `runledger keys list --policy`");
        }
        Ok(Answer::Yes)
    })
}

/// The keys that are here, or new ones with the name of those that are lost.
async fn keys(store: &Store, source: &KeySource) -> anyhow::Result<Keys> {
    if !source.is_missing() {
        return Ok(source.load()?);
    }
    let name = name_of_lost(store).await?;
    let name = name.ok_or_else(|| {
        let what = "nothing was signed yet, so no key is lost; a server makes one when it starts";
        Unusable(what.to_owned())
    })?;
    let keys = Keys::make(&name, &Entropy::system())?;
    source.write(&keys)?;
    output::line(format!("a new key is in {source}"));
    Ok(keys)
}

/// What the origins of the logs begin with, as their checkpoints say.
async fn name_of_lost(store: &Store) -> anyhow::Result<Option<String>> {
    for (log, name) in store.workspaces().await? {
        let Some(last) = store.last_checkpoint(log).await? else { continue };
        let note = Signed::parse(&last.note).context("the last checkpoint cannot be read")?;
        let origin = Checkpoint::parse(&note.text)?.origin;
        let found = origin.strip_suffix(&format!("/ledger/{log}")).map(str::to_owned);
        let found = found.with_context(|| format!("the last checkpoint of {name} is of {origin}"));
        return found.map(Some);
    }
    Ok(None)
}

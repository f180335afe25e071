//! `runledger keys`: what signs the checkpoints of the logs, and what others need to check them.

mod replace;

use std::collections::BTreeSet;

use anyhow::Context;
use runledger_ledger::access::AccessChange;
use runledger_ledger::checkpoints::{self, Keys};
use runledger_ledger::clock::Entropy;
use runledger_ledger::event::{Actor, AnyEvent, Recorded, Stream};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::Store;
use runledger_ledger::words::{Note, WorkspaceId};
use runledger_ledger::workspace::WorkspaceEvent;

use super::database::note;
use super::maintenance::{Database, Which};
use super::said::Said;
use super::{Answer, Unusable, block_on, output};
use crate::signing_key::{KeySource, NAME, changed_since};

/// Events that are read in one go.
const PAGE: u32 = 1_000;

/// What to do with the keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(List),
    New(New),
    Rotate(Change),
    Retire(Change),
    Replace(replace::Replace),
}

/// Show the public keys of the logs.
///
/// With `--policy`, as a policy file, which is what `runledger verify` trusts. Hand it to auditors
/// by a way that they trust, and not by the server. Keys that were retired stand in it as comments:
/// whoever verifies what they have signed takes the `log` line out of the comment, unless the key was
/// given up because somebody else has it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger keys list
  runledger keys list --workspace main --policy > trust.policy")]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// As a policy file
    #[arg(long)]
    policy: bool,
}

/// Make the key of a deployment, before its first start.
///
/// A server makes one by itself where there is none. Made by hand, it can have a name: the
/// beginning of every log's origin, which never changes.
#[derive(Debug, clap::Args)]
pub(super) struct New {
    #[command(flatten)]
    database: Database,
    /// What the origins of the logs begin with, such as the host that they are at
    #[arg(long, default_value = NAME)]
    name: String,
    /// Print the secret, for RUNLEDGER_SIGNING_KEY, and write no file
    #[arg(long)]
    print: bool,
}

/// Put a new key before the present ones, or take all but the newest away.
///
/// A running server takes it up within seconds, and signs with all keys. Hand the new policy file
/// out, wait until everybody has it, and then retire the old keys.
///
/// `retire` takes keys from what signs, and from what `keys list --policy` prints. Whoever verifies what
/// was signed before (checkpoints, packs, receipts) needs the lines of the old keys all the same: keep
/// them in policy files, and add the new one to them.
///
/// The log of every workspace says so, with who did it and why, before the keys are put in place.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger keys rotate --by Ada --reason 'the yearly change'
  runledger keys retire --by Ada --reason 'everybody has the new policy'")]
pub(super) struct Change {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    said: Said,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    match command {
        Command::List(list) => self::list(list),
        Command::New(new) => self::new(new),
        Command::Rotate(change) => block_on(rotate(change)),
        Command::Retire(change) => block_on(retire(change)),
        Command::Replace(replace) => replace::run(replace),
    }
}

fn list(list: &List) -> anyhow::Result<Answer> {
    let keys = source(&list.database)?.load()?;
    let logs = block_on(async {
        let projections = list.database.open_as_it_is().await?;
        let store = projections.ledger().store();
        let mut logs = Vec::new();
        for (workspace, name) in list.which.find(store).await? {
            logs.push((workspace, name, named(store, workspace).await?));
        }
        store.close().await;
        anyhow::Ok(logs)
    })?;
    for (workspace, name, named) in logs {
        output::line(format!("{}workspace {name}", if list.policy { "# " } else { "" }));
        let present: Vec<String> =
            keys.verifiers(workspace).iter().map(ToString::to_string).collect();
        for key in &present {
            output::line(format!("{}{key}", if list.policy { "log " } else { "  " }));
        }
        let retired = named.into_iter().filter(|key| !present.contains(key));
        for key in retired.filter(|_| list.policy) {
            output::line(format!("# retired, as the log says: log {key}"));
        }
    }
    if list.policy {
        output::line("quorum none");
    }
    Ok(Answer::Yes)
}

/// Every key that the log of a workspace has ever named as one that signs it.
async fn named(store: &Store, workspace: WorkspaceId) -> anyhow::Result<BTreeSet<String>> {
    let (mut keys, mut after) = (BTreeSet::new(), 0);
    loop {
        let page = store.stream(workspace, Stream::workspace(workspace), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(keys) };
        after = Recorded::decode(&last.body)?.sequence;
        for stored in &page {
            let event = Recorded::decode(&stored.body)?.fact.event;
            if let AnyEvent::Workspace(WorkspaceEvent::KeyRotated(rotated)) = event {
                keys.extend(rotated.keys);
            }
        }
    }
}

fn new(new: &New) -> anyhow::Result<Answer> {
    let keys = Keys::make(&new.name, &Entropy::system());
    let keys = keys.map_err(|error| Unusable(error.to_string()))?;
    if new.print {
        output::body(&keys.to_secret_text());
        return Ok(Answer::Yes);
    }
    let source = source(&new.database)?;
    let KeySource::File(path) = &source else {
        return Err(Unusable("the keys are in the environment; use --print".to_owned()).into());
    };
    if path.exists() {
        let path = path.display();
        let why =
            format!("there are keys in {path} already; `runledger keys rotate` adds a new one");
        return Err(Unusable(why).into());
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
    }
    source.write(&keys)?;
    output::line(format!("the key is in {}", path.display()));
    Ok(Answer::Yes)
}

async fn rotate(change: &Change) -> anyhow::Result<Answer> {
    let (source, keys) = present(change)?;
    let newer = Keys::make(keys.name(), &Entropy::system())?;
    replace_by(change, &source, keys.rotate(newer)?).await
}

async fn retire(change: &Change) -> anyhow::Result<Answer> {
    let (source, keys) = present(change)?;
    let (all, newest) = (keys.to_secret_text(), keys.newest());
    if newest.to_secret_text() == all {
        output::line(format!("there is one key in {source}; nothing is to be retired"));
        return Ok(Answer::Yes);
    }
    let done = replace_by(change, &source, newest).await?;
    output::note(
        "keep the lines of retired keys in policy files: what they signed is verified by them",
    );
    Ok(done)
}

/// The keys that are in the file.
fn present(change: &Change) -> anyhow::Result<(KeySource, Keys)> {
    let source = source(&change.database)?;
    if let KeySource::Environment(_) = source {
        let why = "the keys are in the environment; make one with `runledger keys new --print`, \
                   and put it before the present ones, or instead of them";
        return Err(Unusable(why.to_owned()).into());
    }
    let keys = source.load()?;
    Ok((source, keys))
}

/// Has every log say that other keys sign it from here on, and puts them in place. In this order: what
/// is done is never without its reason, and a server that takes the keys up has nothing left to say.
async fn replace_by(change: &Change, source: &KeySource, keys: Keys) -> anyhow::Result<Answer> {
    let (actor, reason) = change.said.checked()?;
    let projections = change.database.open().await?;
    let ledger = projections.ledger();
    let prepared = source.prepare(&keys)?;
    for (log, _) in ledger.store().workspaces().await? {
        say(ledger, log, &keys, (&actor, &reason)).await?;
    }
    ledger.store().close().await;
    prepared.put()?;
    output::line(format!("the keys in {source} were replaced; see `runledger keys list`"));
    Ok(Answer::Yes)
}

/// Has a log say that other keys sign it than those that signed it last. One that was never signed has
/// nothing to say.
async fn say(
    ledger: &Ledger,
    log: WorkspaceId,
    keys: &Keys,
    (actor, reason): (&Actor, &Note),
) -> anyhow::Result<()> {
    let Some(last) = ledger.store().last_checkpoint(log).await? else { return Ok(()) };
    let told = checkpoints::told(ledger.store(), log).await?;
    match changed_since(told.as_ref(), &last.note, keys, log, Some(reason.clone())) {
        Some(rotated) => note(ledger, log, AccessChange::KeyRotated(rotated), actor).await,
        None => Ok(()),
    }
}

fn source(database: &Database) -> anyhow::Result<KeySource> {
    let settings = database.settings()?;
    Ok(KeySource::find(&settings.data_dir, |name| std::env::var(name).ok()))
}

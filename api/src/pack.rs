//! Audit packs: what is in one, and how it is made. The same log, checkpoint, scope and requester
//! give the same bytes.

mod check;
mod csv;
mod derived;
mod environment;
pub mod loose;
mod resolve;
mod spool;
mod told;

pub use check::{Recomputed, recompute};

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, bail};
use runledger_ledger::canonical;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::checkpoints::Keys;
use runledger_ledger::event::{AggregateType, AnyEvent, Recorded};
use runledger_ledger::run::RunEvent;
use runledger_ledger::store::{SignedCheckpoint, Store};
use runledger_ledger::time::Moment;
use runledger_ledger::tree;
use runledger_ledger::words::{RunId, WorkspaceId};
use runledger_ledger::workspace::WorkspaceEvent;
use runledger_proof::note::{Note, SignerKey};
use runledger_proof::pack::{self, FORMAT, Manifest};
use runledger_proof::policy::{Policy, Witness};
use runledger_proof::receipt::Receipt;
use runledger_proof::tile::{Of, Tile};
use runledger_proof::witness::AddCheckpoint;
use serde_json::json;
use sha2::{Digest, Sha256};

use self::derived::Derived;
use self::environment::OfEnvironment;
use self::spool::{Growing, Spool};
use crate::routes::evidence::{hash_of_erased, tile_bytes};

/// Events that are read in one go.
const PAGE: u32 = 1_000;
/// Most checkpoints of the history in a pack: of more, every second, third or so is left out.
const MOST_CHECKPOINTS: usize = 500;
/// What makes packs, with the number of the form of what follows from their events. Whoever has the same
/// can derive that again; the number grows whenever a file is added or is written otherwise.
const TOOL: &str = concat!("runledger ", env!("CARGO_PKG_VERSION"), ", packs 2");

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Who asks.
    pub requester: String,
    /// The size of the log, of which there must be a checkpoint; none is the last one.
    pub size: Option<u64>,
    /// Which events.
    pub scope: Scope,
    /// The witnesses that the operator names, if he names any: the pack has the keys of those that have
    /// signed its checkpoint.
    pub witnesses: Option<Policy>,
}

/// Which events are asked for. Nothing said is the whole log.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Those of a run.
    pub run: Option<RunId>,
    /// Those of runs of an operation.
    pub operation: Option<String>,
    /// Those of runs of an environment, and of subjects in it.
    pub environment: Option<String>,
    /// Those recorded then or later.
    pub from: Option<Moment>,
    /// Those recorded before.
    pub to: Option<Moment>,
}

impl Scope {
    /// A pack of what never was would show nothing: only of the whole log follows that something is
    /// not in it. One of an operation that the catalog names may be empty.
    ///
    /// # Errors
    /// What is not known.
    fn is_known(&self, is_there: bool, has_runs: bool, catalog: &Catalog) -> anyhow::Result<()> {
        let operation = self.operation.as_deref().filter(|_| !has_runs);
        let operation = operation.filter(|name| !names(catalog, name));
        if let Some(operation) = operation {
            bail!("{}", unknown_operation(operation));
        }
        match self.run.filter(|_| !is_there) {
            Some(run) => bail!("no run {run} is in the log"),
            None => Ok(()),
        }
    }

    /// # Errors
    /// What is wrong with it, if no event can be in it.
    pub fn check(&self) -> Result<(), String> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => Err(format!(
                "no event was recorded from {from} to before {to}; name a `from` before `to`"
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a catalog names an operation, by its canonical name.
fn names(catalog: &Catalog, operation: &str) -> bool {
    catalog.operations().any(|one| one.name == operation)
}

/// What is said of an operation of which there can be no pack.
pub fn unknown_operation(operation: &str) -> String {
    format!("no operation {operation:?} is in the log or in the catalog")
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Events in the pack.
    pub events: u64,
    /// Events of the log.
    pub size: u64,
    /// SHA-256 of the manifest, in hexadecimal: it names every other file.
    pub manifest: String,
}

/// Makes a pack. It grows on disk, and memory holds a page of its events.
///
/// # Errors
/// If there is no such checkpoint, or the log cannot be read.
pub async fn export(
    store: &Store,
    keys: &Keys,
    order: &Order,
    out: impl Write,
) -> anyhow::Result<Made> {
    let checkpoint = checkpoint(store, order).await?;
    let scope = order.scope.clone().resolved(store, order.workspace, checkpoint.size).await?;
    let order = &Order { scope, ..order.clone() };
    let mut pack = Pack { files: Spool::new()?, events: 0 };
    let stamped = pack.events(store, order, &checkpoint).await?;
    pack.history(store, order.workspace, checkpoint.size, &stamped).await?;
    if order.scope.is_whole() {
        pack.tiles(store, order.workspace, checkpoint.size).await?;
    }
    pack.rest(keys, order, &checkpoint)?;
    let manifest =
        canonical::to_bytes(&serde_json::to_value(pack.manifest(keys, order, &checkpoint))?)?;
    let signers = keys.of_log(order.workspace);
    let note = pack::sign(&manifest, &signers.iter().collect::<Vec<&SignerKey>>());
    let made = Made {
        events: pack.events,
        size: checkpoint.size,
        manifest: hex::encode(Sha256::digest(&manifest)),
    };
    pack.files.add("manifest.json", &manifest)?;
    pack.files.add("manifest.note", note.to_string().as_bytes())?;
    pack.files.into_zip(out)?;
    Ok(made)
}

async fn checkpoint(store: &Store, order: &Order) -> anyhow::Result<SignedCheckpoint> {
    let Some(size) = order.size else {
        let last = store.last_checkpoint(order.workspace).await?;
        return last.context("no checkpoint of the log was signed yet; a running server signs one");
    };
    let found = store.checkpoint_at(order.workspace, size).await?;
    found.with_context(|| format!("no checkpoint of {size} events was signed"))
}

/// The lines of the witnesses that have signed a checkpoint: without their keys, nobody can say so.
fn witnesses(order: &Order, checkpoint: &SignedCheckpoint) -> anyhow::Result<String> {
    let Some(policy) = &order.witnesses else { return Ok(String::new()) };
    let note = Note::parse(&checkpoint.note).context("the checkpoint cannot be read")?;
    let (signed, _) = policy.witnessed(&note).context("a signature of a witness does not hold")?;
    let has_signed = |witness: &&Witness| signed.iter().any(|(key, _)| *key == witness.key);
    let all = policy.witnesses().iter().filter(has_signed);
    Ok(all.map(|witness| format!("witness {} {}\n", witness.name, witness.key)).collect())
}

struct Pack {
    files: Spool,
    events: u64,
}

impl Pack {
    /// The checkpoints that were signed, each with the proof that it continues the one before. Of very
    /// many, some are left out, but none of the sizes in `stamped`.
    async fn history(
        &mut self,
        store: &Store,
        workspace: WorkspaceId,
        size: u64,
        stamped: &[u64],
    ) -> anyhow::Result<()> {
        let mut all: BTreeMap<u64, SignedCheckpoint> = BTreeMap::new();
        let mut from = 0;
        loop {
            let page = store.checkpoints(workspace, from, PAGE).await?;
            let Some(last) = page.last() else { break };
            from = last.size + 1;
            let past = last.size > size;
            all.extend(page.into_iter().filter(|one| one.size <= size).map(|one| (one.size, one)));
            if past {
                break;
            }
        }
        let step = all.len().div_ceil(MOST_CHECKPOINTS).max(1);
        let last = all.len().saturating_sub(1);
        let mut old = 0;
        for (place, (size, one)) in all.into_iter().enumerate() {
            if place % step != 0 && place != last && !stamped.contains(&size) {
                continue;
            }
            let proof = tree::consistency(store, workspace, old, size).await?;
            let note = Note::parse(&one.note).context("a stored checkpoint cannot be read")?;
            let ask = AddCheckpoint { old, proof, note };
            self.files.add(pack::consistency_path(size), ask.to_string().as_bytes())?;
            old = size;
        }
        Ok(())
    }

    /// The events of a selection, and what follows from them and from the log. Says of which sizes somebody
    /// else has said when they were there.
    async fn events(
        &mut self,
        store: &Store,
        order: &Order,
        checkpoint: &SignedCheckpoint,
    ) -> anyhow::Result<Vec<u64>> {
        let (workspace, size, whole) = (order.workspace, checkpoint.size, order.scope.is_whole());
        let note = Note::parse(&checkpoint.note).context("the checkpoint cannot be read")?;
        let between = (order.scope.from, order.scope.to);
        let (mut lines, mut derived) = (Growing::new()?, Derived::of_log(whole, between).await?);
        let mut runs = HashSet::new();
        let (mut catalog, mut is_there) = (Catalog::built_in(), false);
        let of = match &order.scope.environment {
            Some(name) => Some(OfEnvironment::find(store, workspace, size, name).await?),
            None => None,
        };
        let mut next = 0;
        while next < size {
            let page = store.log(workspace, next, size, PAGE).await?;
            let Some(last) = page.last() else { bail!("the log ends at {next}; verify it first") };
            next = last.position + 1;
            for stored in &page {
                let event = Recorded::decode(&stored.body)
                    .with_context(|| format!("the event at {} cannot be read", stored.position))?;
                if let AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(new)) =
                    &event.fact.event
                {
                    catalog = Catalog::parse(&new.content).map_or(catalog, Arc::new);
                }
                is_there |= event.stream.run_id().is_some_and(|run| order.scope.run == Some(run));
                let is_of = of.as_ref().is_none_or(|of| of.holds(stored, &event));
                let chosen = order.scope.holds(&event, &mut runs, is_of);
                if chosen && !whole {
                    let index = stored.position;
                    let proof = tree::inclusion(store, workspace, index, size).await?;
                    let extra = hash_of_erased(stored);
                    let receipt = Receipt { extra, index, proof, note: note.clone() };
                    self.files.add(pack::proof_path(index), receipt.to_string().as_bytes())?;
                    lines.add(&stored.body)?;
                    lines.add(b"\n")?;
                }
                self.events += u64::from(chosen);
                derived.take(&mut self.files, &stored.body, event, chosen).await?;
            }
        }
        order.scope.is_known(is_there, !runs.is_empty(), &catalog)?;
        if !whole {
            self.files.keep("events.ndjson", lines)?;
        }
        let stamped = derived.stamped();
        derived.finish(&mut self.files).await?;
        Ok(stamped)
    }

    async fn tiles(
        &mut self,
        store: &Store,
        workspace: WorkspaceId,
        size: u64,
    ) -> anyhow::Result<()> {
        let hashes = (0..8).flat_map(|level| Tile::all(Of::Hashes(level), size));
        for tile in hashes.chain(Tile::all(Of::Entries, size)) {
            let bytes = tile_bytes(store, workspace, tile).await?;
            let bytes = bytes.with_context(|| format!("the log has no {tile}"))?;
            self.files.add(format!("tlog/{tile}"), &bytes)?;
        }
        Ok(())
    }

    fn rest(
        &mut self,
        keys: &Keys,
        order: &Order,
        checkpoint: &SignedCheckpoint,
    ) -> anyhow::Result<()> {
        // Whoever hands the pack on notes it on a copy: no time and no place is known here.
        let custody = json!({
            "as_of": checkpoint.signed_at.to_string(),
            "checkpoint_size": checkpoint.size,
            "exported_by": order.requester,
            "handed_over": [],
            "origin": keys.origin(order.workspace),
            "root": hex::encode(checkpoint.root),
            "scope": order.scope.words(),
            "tool": TOOL,
            "workspace": order.name,
        });
        let files = &mut self.files;
        files.add("custody.json", &canonical::to_bytes(&custody)?)?;
        let mut policy = String::from(POLICY);
        for key in keys.verifiers(order.workspace) {
            policy.push_str(&format!("log {key}\n"));
        }
        policy.push_str(&witnesses(order, checkpoint)?);
        policy.push_str("quorum none\n");
        files.add("trust/policy.txt", policy.as_bytes())?;
        files.add("README.txt", README.as_bytes())?;
        files.add("schemas/entry.schema.json", ENTRY_SCHEMA)?;
        files.add("schemas/files.txt", FILES)?;
        if order.scope.is_whole() {
            files.add("tlog/checkpoint", &checkpoint.note)?;
        }
        files.add("checkpoint", &checkpoint.note)?;
        Ok(())
    }

    fn manifest(&self, keys: &Keys, order: &Order, checkpoint: &SignedCheckpoint) -> Manifest {
        Manifest {
            events: self.events,
            files: self.files.hashes(),
            format: FORMAT.to_owned(),
            origin: keys.origin(order.workspace),
            requester: order.requester.clone(),
            root: hex::encode(checkpoint.root),
            scope: order.scope.words(),
            size: checkpoint.size,
            tool: TOOL.to_owned(),
            workspace: order.name.clone(),
        }
    }
}

impl Scope {
    fn is_whole(&self) -> bool {
        self.words().is_empty()
    }

    /// The same in words, by name.
    pub fn words(&self) -> BTreeMap<String, String> {
        let words = [
            ("run", self.run.map(|run| run.to_string())),
            ("operation", self.operation.clone()),
            ("environment", self.environment.clone()),
            ("from", self.from.map(|from| from.to_string())),
            ("to", self.to.map(|to| to.to_string())),
        ];
        words.into_iter().filter_map(|(name, word)| Some((name.to_owned(), word?))).collect()
    }

    /// Whether an event is asked for. `runs` are those of the operation, as far as they are known, and
    /// `is_of` says whether it is of the environment.
    fn holds(&self, event: &Recorded, runs: &mut HashSet<RunId>, is_of: bool) -> bool {
        // What is missing, and who wanted that, belongs to every answer.
        if event.stream.kind == AggregateType::Erasure {
            return true;
        }
        let run = event.stream.run_id();
        if let AnyEvent::Run(RunEvent::Dispatched(dispatched)) = &event.fact.event
            && self.operation.as_deref() == Some(dispatched.operation.as_str())
        {
            runs.extend(run);
        }
        let at = event.fact.recorded_at;
        is_of
            && self.run.is_none_or(|wanted| run == Some(wanted))
            && (self.operation.is_none() || run.is_some_and(|run| runs.contains(&run)))
            && self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
    }
}

const ENTRY_SCHEMA: &[u8] = include_bytes!("pack/entry.schema.json");
const FILES: &[u8] = include_bytes!("pack/files.txt");
const POLICY: &str = "# The keys of this log, as the server has them, and those of the witnesses that have signed its\n\
    # checkpoint. To trust them because they are in this file would be to trust whoever made it: compare\n\
    # them with those that you have from elsewhere. Which witnesses must have signed is yours to say (quorum).\n";
const README: &str = "\
This is an audit pack: events of a log, and the evidence that they are in it unchanged.

To verify it, you need the policy file with the keys that you trust. Take it from the operator by a
way that you trust; the one in trust/ is only what the server says of itself.

    runledger verify pack PACK.zip --policy trust.policy

It needs no server and no network. The formats are those of C2SP (c2sp.org): checkpoint is a signed
note, tlog/ a log in tiles, proofs/ holds tlog-proofs, consistency/ the requests that a witness takes.
So other tools can verify all of it as well.

What is shown: every event in this pack was in the log when its checkpoint was signed, with exactly
these bytes, and from each checkpoint to the next the log only grew. A pack of the whole log holds every
event. A selection holds those that its maker chose: that none was left out, it cannot show.
What is not shown: that what was reported is true, and that everything was reported.

Files that end in .csv are copies for people and not authoritative. What followed from the log, catalogs,
standings and decisions, is derived again by the verification where the pack holds the whole log; of a
selection, it says what it cannot derive. schemas/files.txt says what each file is.

In timestamps/ an authority says when a checkpoint (.note) was there (.tsr, RFC 3161). That it has signed
it, is verified with its certificates: openssl ts -verify -data X.note -in X.tsr -CAfile AUTHORITY.pem
";

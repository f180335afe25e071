//! Audit packs: what is in one, and how it is made. The same log, checkpoint, scope and requester
//! give the same bytes.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, bail};
use runledger_ledger::canonical;
use runledger_ledger::checkpoints::Keys;
use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::fact::EventKind;
use runledger_ledger::run::RunEvent;
use runledger_ledger::store::{SignedCheckpoint, Store, StoredEvent};
use runledger_ledger::time::Moment;
use runledger_ledger::tree;
use runledger_ledger::words::{RunId, WorkspaceId};
use runledger_ledger::workspace::WorkspaceEvent;
use runledger_proof::note::{Note, SignerKey};
use runledger_proof::pack::{self, FORMAT, Manifest};
use runledger_proof::receipt::Receipt;
use runledger_proof::tile::{Of, Tile};
use runledger_proof::witness::AddCheckpoint;
use runledger_proof::zip::ZipWriter;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::routes::evidence::tile_bytes;

/// Events that are read in one go.
const PAGE: u32 = 1_000;
/// Most checkpoints of the history in a pack: of more, every second, third or so is left out.
const MOST_CHECKPOINTS: usize = 500;

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
}

/// Which events are asked for. Nothing said is the whole log.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Those of a run.
    pub run: Option<RunId>,
    /// Those of runs of an operation.
    pub operation: Option<String>,
    /// Those recorded then or later.
    pub from: Option<Moment>,
    /// Those recorded before.
    pub to: Option<Moment>,
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

/// Makes a pack.
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
    let mut pack = Pack { files: BTreeMap::new(), events: 0 };
    pack.history(store, order.workspace, checkpoint.size).await?;
    pack.events(store, order, &checkpoint).await?;
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
    pack.files.insert("manifest.json".to_owned(), manifest);
    pack.files.insert("manifest.note".to_owned(), note.to_string().into_bytes());
    let mut zip = ZipWriter::new(out);
    for (name, bytes) in &pack.files {
        zip.add(name, bytes)?;
    }
    zip.finish()?.flush()?;
    Ok(made)
}

async fn checkpoint(store: &Store, order: &Order) -> anyhow::Result<SignedCheckpoint> {
    let Some(size) = order.size else {
        let last = store.last_checkpoint(order.workspace).await?;
        return last.context("no checkpoint of the log was signed yet; a running server signs one");
    };
    let found = store.checkpoints(order.workspace, size, 1).await?.into_iter().next();
    found
        .filter(|found| found.size == size)
        .with_context(|| format!("no checkpoint of {size} events was signed"))
}

struct Pack {
    files: BTreeMap<String, Vec<u8>>,
    events: u64,
}

impl Pack {
    fn add(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), bytes.into());
    }

    /// The checkpoints that were signed, each with the proof that it continues the one before.
    async fn history(
        &mut self,
        store: &Store,
        workspace: WorkspaceId,
        size: u64,
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
            if place % step != 0 && place != last {
                continue;
            }
            let proof = tree::consistency(store, workspace, old, size).await?;
            let note = Note::parse(&one.note).context("a stored checkpoint cannot be read")?;
            let ask = AddCheckpoint { old, proof, note };
            self.add(pack::consistency_path(size), ask.to_string());
            old = size;
        }
        Ok(())
    }

    /// The events, for people and (of a selection) for verification, and what follows from them.
    async fn events(
        &mut self,
        store: &Store,
        order: &Order,
        checkpoint: &SignedCheckpoint,
    ) -> anyhow::Result<()> {
        let whole = order.scope.is_whole();
        let note = Note::parse(&checkpoint.note).context("the checkpoint cannot be read")?;
        let mut lines = Vec::new();
        let mut people = String::from(EVENTS_CSV);
        let mut decisions = String::from(FOLLOW_UPS_CSV);
        let mut runs = std::collections::HashSet::new();
        let mut next = 0;
        while next < checkpoint.size {
            let page = store.log(order.workspace, next, checkpoint.size, PAGE).await?;
            let Some(last) = page.last() else { bail!("the log ends at {next}; verify it first") };
            next = last.position + 1;
            for stored in &page {
                let event = Recorded::decode(&stored.body)
                    .with_context(|| format!("the event at {} cannot be read", stored.position))?;
                self.catalog(&event);
                if !order.scope.holds(&event, &mut runs) {
                    continue;
                }
                self.events += 1;
                people.push_str(&row(stored, &event));
                decisions.push_str(&decision(&event));
                if !whole {
                    let proof =
                        tree::inclusion(store, order.workspace, stored.position, checkpoint.size);
                    let (extra, index, proof) = (None, stored.position, proof.await?);
                    let receipt = Receipt { extra, index, proof, note: note.clone() };
                    self.add(pack::proof_path(stored.position), receipt.to_string());
                    lines.extend_from_slice(&stored.body);
                    lines.push(b'\n');
                }
            }
        }
        if !whole {
            self.add("events.ndjson", lines);
        }
        self.add("events.csv", people);
        self.add("follow-ups.csv", decisions);
        Ok(())
    }

    /// A catalog that was published: by what rules was judged from then on.
    fn catalog(&mut self, event: &Recorded) {
        if let AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(catalog)) = &event.fact.event {
            let name = format!("catalogs/{:020}.toml", event.position);
            self.add(name, catalog.content.as_bytes());
        }
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
            self.add(format!("tlog/{tile}"), bytes);
        }
        Ok(())
    }

    fn rest(
        &mut self,
        keys: &Keys,
        order: &Order,
        checkpoint: &SignedCheckpoint,
    ) -> anyhow::Result<()> {
        let custody = json!({
            "as_of": checkpoint.signed_at.to_string(),
            "exported_by": order.requester,
            "handed_over": [],
        });
        self.add("custody.json", canonical::to_bytes(&custody)?);
        let mut policy = String::from(POLICY);
        for key in keys.verifiers(order.workspace) {
            policy.push_str(&format!("log {key}\n"));
        }
        policy.push_str("quorum none\n");
        self.add("trust/policy.txt", policy);
        self.add("README.txt", README);
        if order.scope.is_whole() {
            self.add("tlog/checkpoint", checkpoint.note.clone());
        }
        self.add("checkpoint", checkpoint.note.clone());
        Ok(())
    }

    fn manifest(&self, keys: &Keys, order: &Order, checkpoint: &SignedCheckpoint) -> Manifest {
        let files = self.files.iter();
        let files = files.map(|(name, bytes)| (name.clone(), hex::encode(Sha256::digest(bytes))));
        Manifest {
            events: self.events,
            files: files.collect(),
            format: FORMAT.to_owned(),
            origin: keys.origin(order.workspace),
            requester: order.requester.clone(),
            root: hex::encode(checkpoint.root),
            scope: order.scope.words(),
            size: checkpoint.size,
            tool: concat!("runledger ", env!("CARGO_PKG_VERSION")).to_owned(),
            workspace: order.name.clone(),
        }
    }
}

impl Scope {
    fn is_whole(&self) -> bool {
        self.words().is_empty()
    }

    fn words(&self) -> BTreeMap<String, String> {
        let words = [
            ("run", self.run.map(|run| run.to_string())),
            ("operation", self.operation.clone()),
            ("from", self.from.map(|from| from.to_string())),
            ("to", self.to.map(|to| to.to_string())),
        ];
        words.into_iter().filter_map(|(name, word)| Some((name.to_owned(), word?))).collect()
    }

    /// Whether an event is asked for. `runs` are those of the operation, as far as they are known.
    fn holds(&self, event: &Recorded, runs: &mut std::collections::HashSet<RunId>) -> bool {
        let run = event.stream.run_id();
        if let AnyEvent::Run(RunEvent::Dispatched(dispatched)) = &event.fact.event
            && self.operation.as_deref() == Some(dispatched.operation.as_str())
        {
            runs.extend(run);
        }
        let at = event.fact.recorded_at;
        self.run.is_none_or(|wanted| run == Some(wanted))
            && (self.operation.is_none() || run.is_some_and(|run| runs.contains(&run)))
            && self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
    }
}

const EVENTS_CSV: &str = "# For people. What counts are the entries themselves.\n\
    position,recorded_at,occurred_at,type,stream,actor,leaf_hash\n";
const FOLLOW_UPS_CSV: &str = "# For people. What counts are the entries themselves.\n\
    position,recorded_at,run,action,by,reason,note\n";
const POLICY: &str = "# The keys of this log, as the server has them. To trust them because they are in\n\
    # this file would be to trust whoever made it: compare them with those that you have from elsewhere.\n";
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

Files that end in .csv are for people, and made from the rest.
";

fn row(stored: &StoredEvent, event: &Recorded) -> String {
    let stream = format!("{} {}", event.stream.kind, event.stream.id);
    let actor = event.actor.as_ref().map(|actor| format!("{} {}", actor.kind, actor.id));
    let cells = [
        stored.position.to_string(),
        event.fact.recorded_at.to_string(),
        event.fact.occurred_at.to_string(),
        event.fact.event.event_type().as_str().to_owned(),
        stream,
        actor.unwrap_or_default(),
        hex::encode(&stored.leaf_hash),
    ];
    line(&cells)
}

/// What a person decided about a follow-up.
fn decision(event: &Recorded) -> String {
    let AnyEvent::Run(happened) = &event.fact.event else { return String::new() };
    let (action, said) = match happened {
        RunEvent::FollowUpResolved(said) => ("resolved", said),
        RunEvent::FollowUpReopened(said) => ("reopened", said),
        _ => return String::new(),
    };
    let run = event.stream.run_id().map(|run| run.to_string()).unwrap_or_default();
    let note = said.note.as_ref().map(ToString::to_string).unwrap_or_default();
    let at = event.fact.recorded_at.to_string();
    let by = said.by.to_string();
    let reason = said.reason.to_string();
    line(&[event.position.to_string(), at, run, action.to_owned(), by, reason, note])
}

/// A line of a CSV file. What a spreadsheet would take for a formula is kept from being one.
fn line(cells: &[String]) -> String {
    let cell = |cell: &String| {
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let text = if formula { format!("'{cell}") } else { cell.clone() };
        let quoted = text.contains([',', '"', '\n', '\r']);
        if quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_breaks_its_line() {
        let cells = ["=1+1", "a,b", "say \"x\"", "-", "plain"].map(str::to_owned);
        assert_eq!(line(&cells), "'=1+1,\"a,b\",\"say \"\"x\"\"\",'-,plain\n");
    }
}

//! What follows from the events of a pack, derived again. That the events are those that were
//! signed, `runledger_proof::pack` has said before.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use runledger_ledger::event::Recorded;
use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::note::Note;
use runledger_proof::pack::{self, Manifest};
use runledger_proof::tile::{self, Of, Tile};
use runledger_proof::witness::AddCheckpoint;
use runledger_proof::{timestamp, zip};
use sha2::{Digest, Sha256};

use super::TOOL;
use super::derived::Derived;
use super::spool::Spool;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// Files that were derived again, and are the same.
    pub same: usize,
    /// What does not follow from the events.
    pub differences: Vec<String>,
    /// Timestamps that are of a checkpoint of the history.
    pub timestamps: usize,
    /// What could not be derived again, and why.
    pub not: Vec<String>,
}

/// Derives again what follows from the events of a pack: copies for people, decisions, and, where
/// it holds the whole log, catalogs, standings and their digest.
///
/// # Errors
/// If the pack cannot be read, or its events cannot be folded.
pub async fn recompute(pack: &[u8]) -> anyhow::Result<Recomputed> {
    let files: BTreeMap<&str, &[u8]> = zip::read(pack)?.into_iter().collect();
    let manifest = files.get("manifest.json").context("the pack has no manifest")?;
    let manifest: Manifest = serde_json::from_slice(manifest)?;
    let mut found = Recomputed::default();
    timestamps(&files, &mut found);
    if manifest.tool != TOOL {
        found.not.push(format!(
            "it was made by {}, and this is {TOOL}: what follows from its events was not derived again",
            manifest.tool
        ));
        return Ok(found);
    }
    let whole = manifest.scope.is_empty();
    let derived = if whole { of_log(&files, &manifest).await? } else { of_some(&files).await? };
    for (name, hash) in &derived {
        match manifest.files.get(name) {
            Some(there) if there == hash => found.same += 1,
            Some(_) => found.differences.push(format!("{name} does not follow from the events")),
            None => {
                found.differences.push(format!("{name} follows from the events, and is missing"));
            }
        }
    }
    let folders = ["catalogs/", "projections/", "timestamps/"];
    let alone = ["access-log.ndjson", "config-snapshot.json", "trust/key-rotations.ndjson"];
    let follows =
        |name: &str| folders.iter().any(|one| name.starts_with(one)) || alone.contains(&name);
    for name in manifest.files.keys().filter(|name| follows(name)) {
        if whole && !derived.contains_key(name) {
            found.differences.push(format!("{name} does not follow from the events"));
        } else if !whole {
            found.not.push(format!("{name} follows from the whole log, and a part of it is here"));
        }
    }
    Ok(found)
}

/// Each timestamp is of a checkpoint of the history. That an authority has signed it, is for tools that
/// know its certificates.
fn timestamps(files: &BTreeMap<&str, &[u8]>, found: &mut Recomputed) {
    for (name, answer) in files.iter().filter(|(name, _)| name.ends_with(".tsr")) {
        let note = name.strip_suffix("tsr").map(|name| format!("{name}note"));
        let note = note.and_then(|name| files.get(name.as_str()).copied()).unwrap_or_default();
        match timestamp::read(answer) {
            Err(error) => found.differences.push(format!("{name}: {error}")),
            Ok(stamped) if stamped.imprint[..] != Sha256::digest(note)[..] => {
                found.differences.push(format!("{name} is of other bytes than the note beside it"));
            }
            Ok(_) if !is_of_history(files, note) => {
                let what = "is of no checkpoint of the history in this pack";
                found.differences.push(format!("{name} {what}"));
            }
            Ok(_) => found.timestamps += 1,
        }
    }
}

fn is_of_history(files: &BTreeMap<&str, &[u8]>, note: &[u8]) -> bool {
    let read = |note: &Note| Checkpoint::parse(&note.text).ok();
    let told = Note::parse(note).ok().and_then(|note| read(&note));
    told.is_some_and(|told| {
        let there = files.get(pack::consistency_path(told.size).as_str()).copied();
        let there = there.and_then(|bytes| AddCheckpoint::parse(bytes).ok());
        there.and_then(|there| read(&there.note)) == Some(told)
    })
}

async fn of_log(
    files: &BTreeMap<&str, &[u8]>,
    manifest: &Manifest,
) -> anyhow::Result<BTreeMap<String, String>> {
    let (mut spool, mut derived) = (Spool::new()?, Derived::of_log(true, (None, None)).await?);
    for bundle in Tile::all(Of::Entries, manifest.size) {
        let bytes = files.get(format!("tlog/{bundle}").as_str()).copied().unwrap_or_default();
        let Ok(entries) = tile::entries(bytes, bundle.width) else {
            bail!("tlog/{bundle} cannot be read");
        };
        for body in entries {
            let event = Recorded::decode(body)?;
            derived.take(&mut spool, body, event, true).await?;
        }
    }
    derived.finish(&mut spool).await?;
    Ok(spool.hashes())
}

async fn of_some(files: &BTreeMap<&str, &[u8]>) -> anyhow::Result<BTreeMap<String, String>> {
    let (mut spool, mut derived) = (Spool::new()?, Derived::of_selection()?);
    let lines = files.get("events.ndjson").copied().unwrap_or_default();
    for body in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let event = Recorded::decode(body)?;
        derived.take(&mut spool, body, event, true).await?;
    }
    derived.finish(&mut spool).await?;
    Ok(spool.hashes())
}

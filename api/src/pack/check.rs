//! What follows from the events of a pack, derived again. That the events are those that were
//! signed, `runledger_proof::pack` has said before.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use runledger_ledger::event::Recorded;
use runledger_proof::pack::Manifest;
use runledger_proof::tile::{self, Of, Tile};
use runledger_proof::zip;

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
    let follows = |name: &str| name.starts_with("catalogs/") || name.starts_with("projections/");
    for name in manifest.files.keys().filter(|name| follows(name)) {
        if whole && !derived.contains_key(name) {
            found.differences.push(format!("{name} does not follow from the events"));
        } else if !whole {
            found.not.push(format!("{name} follows from the whole log, and a part of it is here"));
        }
    }
    Ok(found)
}

async fn of_log(
    files: &BTreeMap<&str, &[u8]>,
    manifest: &Manifest,
) -> anyhow::Result<BTreeMap<String, String>> {
    let (mut spool, mut derived) = (Spool::new()?, Derived::of_log(true).await?);
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

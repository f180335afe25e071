//! Writing a closed range of a log into a directory. It waits for the disk on the caller's thread:
//! it is for a command of its own, and no server does it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use runledger_proof::archive::{CHECKPOINT, FORMAT, MANIFEST, Manifest, Verified, erasure_paths};
use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::erasure;
use runledger_proof::note::Note;
use runledger_proof::receipt::Receipt;
use runledger_proof::tile::{self, HEIGHT, Of, Tile, WIDTH};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::steps::{ArchiveError, overlapping};
use super::{ArchiveState, directory, list};
use crate::canonical;
use crate::event::Stream;
use crate::merkle::leaf_hash;
use crate::store::{SignedCheckpoint, Store, StoreError};
use crate::time::Moment;
use crate::tree;
use crate::words::WorkspaceId;

/// Events of a stream that are read in one go.
const PAGE: u32 = 1_000;
const POLICY: &str = "trust/policy.txt";
const README: &str = "\
This is an archive: a closed range of a log, in whole tiles (C2SP tlog-tiles), with the checkpoint
that was signed over it. To verify it, take the policy file with the keys that you trust from the
operator by a way that you trust; the one in trust/ is only what the ledger says of itself.

    runledger archive verify DIRECTORY --policy trust.policy

It needs no server, no database and no network. tile/entries/ holds the events, tile/0/ their hashes,
tile/1/ and above every hash up to the root that the checkpoint signs. An entry with the member
`erased` is a tombstone; erasures/ holds what orders it, with the proof that the log says so.

Change nothing in it. Bodies that were dropped from the database are read from here.
";

/// Which events, and where to.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: &'a str,
    /// How far.
    pub until: Until,
    /// The directory, which is not there yet.
    pub directory: &'a Path,
    /// What the ledger says of its own keys, as a policy file.
    pub policy: &'a str,
    /// What makes it.
    pub tool: &'a str,
}

/// How far an archive reaches. It begins where the last one ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything that was recorded before this time.
    Before(Moment),
    /// Everything up to this position.
    Through(u64),
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// What a verification of it has found: it is intact.
    pub verified: Verified,
    /// Whether it had been written before.
    pub was_there: bool,
}

/// Writes an archive, verifies it, and only then gives it its name. What a run before this one has
/// left half done is gone on with. `progress` is told how many of how many events were written.
///
/// # Errors
/// If the range has no whole tile, is not covered by a checkpoint, or something else is there.
pub async fn export(
    store: &Store,
    order: &Order<'_>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Exported, ArchiveError> {
    let Order { workspace, directory, .. } = order;
    let (from, to) = range(store, *workspace, order.until).await?;
    let signed = covering(store, *workspace, to).await?;
    if std::fs::symlink_metadata(directory).is_ok() {
        let verified = there_already(directory, *workspace, from, to)?;
        return Ok(Exported { verified, was_there: true });
    }
    let name = directory.file_name().ok_or_else(|| ArchiveError::NoName(directory.into()))?;
    let mut name = name.to_owned();
    name.push(".part");
    let mut part = Part { directory: directory.with_file_name(name), files: BTreeMap::new() };
    part.tiles(store, *workspace, from..to, &signed, progress).await?;
    part.add(CHECKPOINT, &signed.note)?;
    part.add(POLICY, order.policy.as_bytes())?;
    part.add("README.txt", README.as_bytes())?;
    let note = Note::parse(&signed.note).map_err(|error| corrupt(&error))?;
    let checkpoint = Checkpoint::parse(&note.text).map_err(|error| corrupt(&error))?;
    let manifest = Manifest {
        files: part.files.clone(),
        format: FORMAT.to_owned(),
        from,
        origin: checkpoint.origin,
        root: hex::encode(checkpoint.root),
        size: checkpoint.size,
        to,
        tool: order.tool.to_owned(),
        workspace: workspace.to_string(),
        workspace_name: order.name.to_owned(),
    };
    let json = serde_json::to_value(&manifest).map_err(|error| corrupt(&error))?;
    part.add(MANIFEST, &canonical::to_bytes(&json).map_err(|error| corrupt(&error))?)?;
    let verified = directory::verify(&part.directory, None)?;
    if !verified.is_intact() {
        return Err(ArchiveError::of(&verified));
    }
    part.finish(directory)?;
    Ok(Exported { verified, was_there: false })
}

/// The whole tiles whose events were recorded before `moment` and that no archive holds; none if
/// there are none.
///
/// # Errors
/// When the database fails.
pub async fn last_due(
    store: &Store,
    workspace: WorkspaceId,
    moment: Moment,
) -> Result<Option<(u64, u64)>, ArchiveError> {
    match range(store, workspace, Until::Before(moment)).await {
        Ok(range) => Ok(Some(range)),
        Err(ArchiveError::NothingWhole { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn range(
    store: &Store,
    workspace: WorkspaceId,
    until: Until,
) -> Result<(u64, u64), ArchiveError> {
    let size = store.head(workspace).await?.map_or(0, |head| head.size());
    let wanted = match until {
        Until::Through(position) if position >= size => {
            return Err(ArchiveError::NoEvent { position, size });
        }
        Until::Through(position) => position + 1,
        Until::Before(moment) => {
            let before = Moment::from_micros(moment.micros().saturating_sub(1));
            store.size_at(workspace, before).await?
        }
    };
    let archives = list(store, workspace).await?;
    let held = archives.iter().filter(|archive| archive.state() != ArchiveState::Restored);
    let from = held.map(|archive| archive.ordered.to).max().unwrap_or_default();
    let to = wanted / WIDTH * WIDTH;
    if to <= from {
        return Err(ArchiveError::NothingWhole { from, wanted });
    }
    if let Some(other) = overlapping(&archives, from, to) {
        return Err(ArchiveError::Overlaps(other.id));
    }
    Ok((from, to))
}

async fn covering(
    store: &Store,
    workspace: WorkspaceId,
    to: u64,
) -> Result<SignedCheckpoint, ArchiveError> {
    let last = store.last_checkpoint(workspace).await?;
    let signed = last.as_ref().map_or(0, |last| last.size);
    last.filter(|last| last.size >= to).ok_or(ArchiveError::NotSigned { to, signed })
}

/// The same archive, written before.
fn there_already(
    directory: &Path,
    workspace: WorkspaceId,
    from: u64,
    to: u64,
) -> Result<Verified, ArchiveError> {
    let other = || ArchiveError::Exists(directory.to_owned());
    let verified = directory::verify(directory, None).map_err(|_| other())?;
    let Manifest { from: begin, to: end, workspace: of, .. } = &verified.manifest;
    let same = (*begin, *end) == (from, to) && *of == workspace.to_string();
    if same && verified.is_intact() { Ok(verified) } else { Err(other()) }
}

fn corrupt(error: &dyn std::fmt::Display) -> ArchiveError {
    StoreError::Corrupt(format!("a checkpoint or a manifest: {error}")).into()
}

/// An archive that is being written, under another name.
struct Part {
    directory: PathBuf,
    files: BTreeMap<String, String>,
}

impl Part {
    /// Entries and hashes of the range, every hash above, and what orders its tombstones.
    async fn tiles(
        &mut self,
        store: &Store,
        workspace: WorkspaceId,
        positions: std::ops::Range<u64>,
        signed: &SignedCheckpoint,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), ArchiveError> {
        let size = signed.size;
        let mut erasures = BTreeSet::new();
        for index in positions.start / WIDTH..positions.end / WIDTH {
            let (start, end) = (index * WIDTH, (index + 1) * WIDTH);
            let limit = u32::try_from(WIDTH).unwrap_or(u32::MAX);
            let events = store.log(workspace, start, end, limit).await?;
            let mut bundle = Vec::new();
            for event in &events {
                match erasure::mark(&event.body) {
                    None if leaf_hash(&event.body) == *event.leaf_hash => {}
                    Some(mark) => erasures.extend(mark.erasure.parse::<Uuid>().ok()),
                    None => return Err(ArchiveError::Damaged(event.position)),
                }
                if !tile::push_entry(&mut bundle, &event.body) {
                    return Err(ArchiveError::Damaged(event.position));
                }
            }
            if events.len() as u64 != WIDTH {
                return Err(ArchiveError::Damaged(start + events.len() as u64));
            }
            let hashes: Vec<u8> = events.iter().flat_map(|one| one.leaf_hash.clone()).collect();
            let entries = Tile { of: Of::Entries, index, width: WIDTH };
            self.add(&entries.to_string(), &bundle)?;
            self.add(&Tile { of: Of::Hashes(0), ..entries }.to_string(), &hashes)?;
            progress(end - positions.start, positions.end - positions.start);
        }
        let edge = Tile { of: Of::Hashes(0), index: size / WIDTH, width: size % WIDTH };
        let edge = Some(edge).filter(|edge| edge.width > 0);
        let above = (1..HEIGHT).flat_map(|level| Tile::all(Of::Hashes(level), size));
        for tile in above.chain(edge) {
            let (Of::Hashes(level), Some(start), Some(end)) = (tile.of, tile.start(), tile.end())
            else {
                continue;
            };
            let hashes = tree::complete(store, workspace, level, start..end).await?;
            self.add(&tile.to_string(), &hashes.concat())?;
        }
        for id in erasures {
            self.erasure(store, workspace, id, signed).await?;
        }
        Ok(())
    }

    /// What the log says of an erasure, each event with its proof.
    async fn erasure(
        &mut self,
        store: &Store,
        workspace: WorkspaceId,
        id: Uuid,
        signed: &SignedCheckpoint,
    ) -> Result<(), ArchiveError> {
        let note = Note::parse(&signed.note).map_err(|error| corrupt(&error))?;
        let mut after = 0;
        loop {
            let page = store.stream(workspace, Stream::erasure(id), after, PAGE).await?;
            for event in page.iter().filter(|event| event.position < signed.size) {
                let index = event.position;
                let proof = tree::inclusion(store, workspace, index, signed.size).await?;
                let receipt = Receipt { extra: None, index, proof, note: note.clone() };
                let (name, proof) = erasure_paths(index);
                self.add(&name, &event.body)?;
                self.add(&proof, receipt.to_string().as_bytes())?;
            }
            after += page.len() as u64;
            if page.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// Writes a file, unless just that is there: all of it or nothing.
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        let path = directory::path(&self.directory, name);
        let failed = |error| ArchiveError::Io(path.clone(), error);
        if !std::fs::read(&path).is_ok_and(|there| there == bytes) {
            write_whole(&path, bytes).map_err(failed)?;
        }
        if name != MANIFEST {
            self.files.insert(name.to_owned(), hex::encode(Sha256::digest(bytes)));
        }
        Ok(())
    }

    /// Takes away what an earlier run has left, and gives the directory its name.
    fn finish(&self, name: &Path) -> Result<(), ArchiveError> {
        let wanted: BTreeSet<PathBuf> = self
            .files
            .keys()
            .map(String::as_str)
            .chain([MANIFEST])
            .map(|name| directory::path(&self.directory, name))
            .collect();
        let failed = |error| ArchiveError::Io(self.directory.clone(), error);
        tidy(&self.directory, &wanted).map_err(failed)?;
        // What came in between stays: a directory is never put in the place of another one.
        if std::fs::symlink_metadata(name).is_ok() {
            return Err(ArchiveError::Exists(name.to_owned()));
        }
        std::fs::rename(&self.directory, name).map_err(failed)?;
        let parent = name.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync(parent.unwrap_or(Path::new("."))).map_err(failed)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// Removes what is not wanted, and has the names of what is on the disk.
fn tidy(directory: &Path, wanted: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            tidy(&path, wanted)?;
        } else if !wanted.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    sync(directory)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

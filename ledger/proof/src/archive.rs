//! Archives: a closed range of a log in files, and what shows that it is that of the log: its
//! entries, their hashes, the hashes above them up to the root, and the signed checkpoint of that
//! root.
//!
//! An archive is a part of a log in tiles (C2SP tlog-tiles): whole tiles of entries and of their
//! hashes, every hash above, and the right edge of the tree. It is verified file by file, and
//! memory holds a bundle of entries and one hash for each 256.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::erasure::{Erasures, Settled};
use crate::merkle::{self, Hash, Node, leaf_hash, plan_root};
use crate::note::{Note, NoteError};
use crate::policy::{Distrust, Policy};
use crate::receipt::Receipt;
use crate::tile::{self, Of, Tile, WIDTH};
use crate::walk::Difference;

/// What a manifest begins with.
pub const FORMAT: &str = "runledger-archive-1";
/// The file that names all others.
pub const MANIFEST: &str = "manifest.json";
/// The file of the signed checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// Where the events of erasures stand that name what is erased in the range.
const ERASURES: &str = "erasures/";
/// Most differences that are told one by one.
const MOST: usize = 1_000;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// SHA-256 of every other file, in hexadecimal.
    pub files: BTreeMap<String, String>,
    /// [`FORMAT`].
    pub format: String,
    /// The first position.
    pub from: u64,
    /// The origin of the log.
    pub origin: String,
    /// The root that the checkpoint signs, in hexadecimal.
    pub root: String,
    /// Events that the checkpoint is of.
    pub size: u64,
    /// The position after the last one.
    pub to: u64,
    /// What made it.
    pub tool: String,
    /// The id of the workspace.
    pub workspace: String,
    /// Its name.
    pub workspace_name: String,
}

/// Why nothing can be said of an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file that every archive has is missing.
    #[error("it has no {0}")]
    Missing(String),
    /// A file cannot be read.
    #[error("its file {0} cannot be read")]
    Unreadable(String, #[source] io::Error),
    /// The manifest cannot be read.
    #[error("its manifest.json cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// It is of another form.
    #[error("it is of the form {0:?}, which is not known here")]
    Format(String),
    /// Its checkpoint is no note.
    #[error("its checkpoint is no signed note")]
    Note(#[source] NoteError),
    /// Its checkpoint is none.
    #[error("its checkpoint cannot be read")]
    Checkpoint(#[source] CheckpointError),
    /// Nobody who is trusted has signed its checkpoint.
    #[error("its checkpoint is not believed")]
    Distrust(#[source] Distrust),
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What the archive says of itself.
    pub manifest: Manifest,
    /// SHA-256 of its manifest, in hexadecimal: it names the whole archive.
    pub digest: String,
    /// The checkpoint that its root leads to.
    pub checkpoint: Checkpoint,
    /// Positions whose words two people have had erased before. That is no difference.
    pub erased: Settled,
    /// Files that are not there.
    pub missing: Vec<String>,
    /// What differs; nothing, if the archive is intact.
    pub differences: Vec<String>,
}

impl Verified {
    /// Whether all of it is there, and is what was signed.
    pub const fn is_intact(&self) -> bool {
        self.missing.is_empty() && self.differences.is_empty()
    }
}

/// Reads a file of an archive, by its name.
pub type Files<'a> = &'a dyn Fn(&str) -> io::Result<Vec<u8>>;

/// Where an event of an erasure stands in an archive, and its proof.
pub fn erasure_paths(position: u64) -> (String, String) {
    (format!("{ERASURES}{position:020}.json"), format!("{ERASURES}{position:020}.tlog-proof"))
}

/// What names an archive: SHA-256 of its manifest, in hexadecimal.
pub fn digest(manifest: &[u8]) -> String {
    crate::text::hex(&Sha256::digest(manifest))
}

/// Verifies an archive by a policy that its reader has from elsewhere. Without one, that somebody
/// has signed the root is not looked at: the caller compares it with one that it knows.
///
/// # Errors
/// If nothing can be said of it. What is not as it was signed is no error, but a difference.
pub fn verify(files: Files<'_>, policy: Option<&Policy>) -> Result<Verified, ArchiveError> {
    let bytes = required(files, MANIFEST)?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(ArchiveError::Manifest)?;
    if manifest.format != FORMAT {
        return Err(ArchiveError::Format(manifest.format));
    }
    let note = required(files, CHECKPOINT)?;
    let checkpoint = match policy {
        Some(policy) => policy.believe(&note).map_err(ArchiveError::Distrust)?.checkpoint,
        None => {
            let note = Note::parse(&note).map_err(ArchiveError::Note)?;
            Checkpoint::parse(&note.text).map_err(ArchiveError::Checkpoint)?
        }
    };
    let mut look = Look {
        files,
        manifest: &manifest,
        checkpoint: &checkpoint,
        taken: BTreeSet::new(),
        erasures: Erasures::default(),
        missing: Vec::new(),
        differences: Vec::new(),
    };
    if look.fits() {
        look.erasures();
        let above = look.above();
        look.range(above.first().map_or(&[], Vec::as_slice));
        look.rest();
    }
    let Look { erasures, missing, mut differences, .. } = look;
    let erased = erasures.settle();
    let not_ordered = erased.unexplained.iter().map(|at| Difference::NotOrdered(*at).to_string());
    differences.extend(not_ordered.take(MOST));
    let digest = digest(&bytes);
    Ok(Verified { manifest, digest, checkpoint, erased, missing, differences })
}

fn required(files: Files<'_>, name: &str) -> Result<Vec<u8>, ArchiveError> {
    files(name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ArchiveError::Missing(name.to_owned()),
        _ => ArchiveError::Unreadable(name.to_owned(), error),
    })
}

struct Look<'a> {
    files: Files<'a>,
    manifest: &'a Manifest,
    checkpoint: &'a Checkpoint,
    /// Files that were looked at.
    taken: BTreeSet<String>,
    erasures: Erasures,
    missing: Vec<String>,
    differences: Vec<String>,
}

impl Look<'_> {
    fn differs(&mut self, difference: impl Into<String>) {
        if self.differences.len() < MOST {
            self.differences.push(difference.into());
        }
    }

    /// Whether the manifest is about the log of the checkpoint, and about whole tiles of it.
    fn fits(&mut self) -> bool {
        let Manifest { from, to, size, origin, root, .. } = self.manifest;
        let Checkpoint { origin: of, size: signed, root: over, .. } = self.checkpoint;
        if (origin, size) != (of, signed) || *root != crate::text::hex(over) {
            self.differs("the manifest is about another log than the checkpoint");
            return false;
        }
        if !origin.ends_with(&format!("/ledger/{}", self.manifest.workspace)) {
            self.differs("the manifest names another workspace than the origin of the log");
            return false;
        }
        let whole = from.is_multiple_of(WIDTH) && to.is_multiple_of(WIDTH);
        // Each tile is a file: nobody is kept busy by a manifest that tells of more than it names.
        let named = to.saturating_sub(*from) / WIDTH <= self.manifest.files.len() as u64;
        if !whole || !named || from >= to || to > size {
            self.differs(format!(
                "positions {from} to {to} are no whole tiles of a log of {size} events"
            ));
            return false;
        }
        true
    }

    /// A file, if it is there and is the one that the manifest names.
    fn file(&mut self, name: &str) -> Option<Vec<u8>> {
        let new = self.taken.insert(name.to_owned());
        let Some(hash) = self.manifest.files.get(name) else {
            self.differs(format!("the file {name} is not in the manifest"));
            return None;
        };
        match (self.files)(name) {
            Ok(bytes) => {
                let same = crate::text::hex(&Sha256::digest(&bytes)) == *hash;
                if !same && new {
                    self.differs(format!("the file {name} is not the one that the manifest names"));
                }
                Some(bytes)
            }
            Err(error) => {
                if new && self.missing.len() < MOST {
                    self.missing.push(match error.kind() {
                        io::ErrorKind::NotFound => name.to_owned(),
                        _ => format!("{name} ({error})"),
                    });
                }
                None
            }
        }
    }

    fn hashes(&mut self, tile: Tile) -> Option<Vec<Hash>> {
        let name = tile.to_string();
        let bytes = self.file(&name)?;
        let hashes = tile::hashes(&bytes, tile.width);
        if hashes.is_none() {
            self.differs(format!("the file {name} does not hold {} hashes", tile.width));
        }
        hashes
    }

    /// What the log says of the erasures that it names, each event with its proof.
    fn erasures(&mut self) {
        let is_event = |name: &&String| name.starts_with(ERASURES) && name.ends_with(".json");
        let names: Vec<String> = self.manifest.files.keys().filter(is_event).cloned().collect();
        for name in names {
            let proof = name.replace(".json", ".tlog-proof");
            let (Some(event), Some(proof)) = (self.file(&name), self.file(&proof)) else {
                continue;
            };
            let Checkpoint { size, root, .. } = self.checkpoint;
            let proved = Receipt::parse(&proof).is_ok_and(|receipt| {
                let (index, proof, leaf) = (receipt.index, &receipt.proof, leaf_hash(&event));
                merkle::verify_inclusion(index, *size, &leaf, proof, root).is_ok()
                    && erasure_paths(index).0 == name
            });
            match proved {
                true => self.erasures.intact(&event),
                false => self.differs(format!("{name} is not shown to be in the log")),
            }
        }
    }

    /// The hashes above the lowest, level by level: each follows from those below it, and the root
    /// from all of them.
    fn above(&mut self) -> Vec<Vec<Hash>> {
        let Checkpoint { size, root, .. } = *self.checkpoint;
        let mut levels: Vec<Vec<Hash>> = Vec::new();
        for level in (1..tile::HEIGHT).take_while(|level| Of::Hashes(*level).count(size) > 0) {
            let mut all = Vec::new();
            for tile in Tile::all(Of::Hashes(level), size) {
                let Some(hashes) = self.hashes(tile) else { return levels };
                all.extend(hashes);
            }
            if let Some(below) = levels.last() {
                let derived = below.chunks_exact(256).map(tile::subtree_root);
                let differ = derived.zip(&all).position(|(derived, stored)| derived != *stored);
                if let Some(place) = differ {
                    self.differs(Difference::Hash(level, place as u64).to_string());
                }
            }
            levels.push(all);
        }
        let last = Tile { of: Of::Hashes(0), index: size / WIDTH, width: size % WIDTH };
        let edge = if last.width > 0 { self.hashes(last) } else { Some(Vec::new()) };
        let Some(edge) = edge else { return levels };
        let begin = last.start().unwrap_or_default();
        let node = |node: Node| {
            let (level, places) = tile::hashes_of(node);
            let (hashes, first) = match level.checked_sub(1) {
                None => (&edge, begin),
                Some(place) => (levels.get(usize::try_from(place).ok()?)?, 0),
            };
            let place = |place: u64| usize::try_from(place.checked_sub(first)?).ok();
            hashes.get(place(places.start)?..place(places.end)?).map(tile::subtree_root)
        };
        if plan_root(size).proof(node).as_deref() != Some(&[root]) {
            self.differs(Difference::Root.to_string());
        }
        levels
    }

    /// Every entry of the range against its hash, and their hashes against the one above them.
    fn range(&mut self, above: &[Hash]) {
        for index in self.manifest.from / WIDTH..self.manifest.to / WIDTH {
            let bundle = Tile { of: Of::Entries, index, width: WIDTH };
            let leaves = self.hashes(Tile { of: Of::Hashes(0), ..bundle });
            let Some(bytes) = self.file(&bundle.to_string()) else { continue };
            let Some(leaves) = leaves else { continue };
            let place = usize::try_from(index).unwrap_or(usize::MAX);
            if above.get(place) != Some(&tile::subtree_root(&leaves)) {
                self.differs(Difference::Hash(1, index).to_string());
            }
            let entries = match tile::entries(&bytes, WIDTH) {
                Ok(entries) => entries,
                Err(error) => {
                    self.differs(format!("the file {bundle}: {error}"));
                    continue;
                }
            };
            for (position, (entry, leaf)) in (index * WIDTH..).zip(entries.iter().zip(&leaves)) {
                if leaf_hash(entry) == *leaf {
                    self.erasures.intact(entry);
                } else if !self.erasures.changed(position, entry) {
                    self.differs(Difference::Entry(position).to_string());
                }
            }
        }
    }

    /// Whatever else the manifest names.
    fn rest(&mut self) {
        let manifest = self.manifest;
        for name in manifest.files.keys() {
            if !self.taken.contains(name) {
                // A name that leads out of the archive is read by nobody.
                match name.split('/').any(|part| matches!(part, "" | "." | "..")) {
                    true => self.differs(format!("{name:?} is no name of a file in an archive")),
                    false => drop(self.file(name)),
                }
            }
        }
    }
}

//! Audit packs: one file with everything that an auditor needs, and its verification, without a
//! server and without a network.
//!
//! A pack of a whole log holds its tiles and entries; one of a selection holds the events that were
//! asked for, each with its proof. In both there is the history of checkpoints, and between each
//! two of them the proof that the log only grew.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::erasure::{self, Erasures, Settled};
use crate::merkle::{self, Hash, leaf_hash};
use crate::note::{Note, SignerKey};
use crate::policy::{Distrust, Policy};
use crate::receipt::Receipt;
use crate::tile::{self, Of, Tile};
use crate::walk::{Difference, Walk};
use crate::witness::{AddCheckpoint, Refused, Seen};
use crate::zip::{self, ZipError};

/// What a manifest begins with.
pub const FORMAT: &str = "runledger-audit-pack-1";
/// The first line of the note that signs a manifest. What follows is no size, so it can never pass
/// for a checkpoint.
const SIGNED: &str = "runledger audit pack";
/// Most differences that are told one by one.
const MOST: usize = 1_000;

/// What a pack says of itself: `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// How many events are in it.
    pub events: u64,
    /// SHA-256 of every other file but the note that signs this one, in hexadecimal.
    pub files: BTreeMap<String, String>,
    /// [`FORMAT`].
    pub format: String,
    /// The origin of the log.
    pub origin: String,
    /// Who asked for it.
    pub requester: String,
    /// The root of the log, in hexadecimal.
    pub root: String,
    /// What was asked for; empty is the whole log.
    pub scope: BTreeMap<String, String>,
    /// Events of the log.
    pub size: u64,
    /// What made it.
    pub tool: String,
    /// The name of the workspace.
    pub workspace: String,
}

/// Why nothing can be said of a pack.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It cannot be read.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// A file that every pack has is missing.
    #[error("the pack has no {0}")]
    Missing(String),
    /// The manifest cannot be read.
    #[error("manifest.json cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// It is of another form.
    #[error("it is a pack of the form {0:?}, which is not known here")]
    Format(String),
    /// Nobody who is trusted has signed it, or it is not what was signed.
    #[error("{0} is not believed")]
    Distrust(String, #[source] Distrust),
    /// The manifest was signed by somebody who is trusted, and this file is not the one that it names.
    #[error("the file {0} is not the one that was signed")]
    Altered(String),
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What the pack says of itself, which was signed.
    pub manifest: Manifest,
    /// How many events were verified.
    pub events: u64,
    /// How many checkpoints were.
    pub checkpoints: u64,
    /// Events whose bodies two people have had erased. That is no difference.
    pub erased: Settled,
    /// Checkpoints of the history that only keys have signed which the policy does not name. The log
    /// continues them; that it was signed so, somebody else says.
    pub unknown: Vec<u64>,
    /// What differs; nothing, if the pack is intact.
    pub differences: Vec<String>,
}

/// The note over a manifest.
pub fn sign(manifest: &[u8], keys: &[&SignerKey]) -> Note {
    Note::sign(&signed_text(manifest), keys, 0)
}

fn signed_text(manifest: &[u8]) -> String {
    format!("{SIGNED}\n{}\n", crate::text::base64(&Sha256::digest(manifest)))
}

/// Verifies a pack by a policy that its reader has from elsewhere.
///
/// # Errors
/// If nothing can be said of it. What is not as it was signed is no error, but a difference.
pub fn verify(pack: &[u8], policy: &Policy) -> Result<Verified, PackError> {
    verify_files(&zip::read(pack)?.into_iter().collect(), policy)
}

/// The same of the files of a pack, by their names, however they were packed.
///
/// # Errors
/// The same.
pub fn verify_files(files: &BTreeMap<&str, &[u8]>, policy: &Policy) -> Result<Verified, PackError> {
    let file =
        |name: &str| files.get(name).copied().ok_or_else(|| PackError::Missing(name.to_owned()));
    let bytes = file("manifest.json")?;
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(PackError::Manifest)?;
    if manifest.format != FORMAT {
        return Err(PackError::Format(manifest.format));
    }
    let distrust = |what: &str| {
        let what = what.to_owned();
        |distrust| PackError::Distrust(what, distrust)
    };
    let note = file("checkpoint")?;
    let signed = signed_by(&manifest.origin, file("manifest.note")?, bytes, policy);
    // A manifest that is believed tells which checkpoint it was signed with, whoever signed that.
    let named = manifest.files.get("checkpoint").map(String::as_str);
    if signed.is_ok() && named != Some(&crate::text::hex(&Sha256::digest(note))) {
        return Err(PackError::Altered("checkpoint".to_owned()));
    }
    let believed = policy.believe(note).map_err(distrust("the checkpoint"))?;
    let checkpoint = believed.checkpoint;
    signed.map_err(distrust("the manifest"))?;
    let mut look = Look {
        files,
        policy,
        checkpoint: &checkpoint,
        erasures: Erasures::default(),
        unknown: Vec::new(),
        differences: Vec::new(),
    };
    look.manifest(&manifest);
    let checkpoints = look.history();
    let whole = manifest.scope.is_empty();
    let events = if whole { look.whole() } else { look.selection() };
    if events != manifest.events {
        look.differs(format!(
            "the manifest tells of {} events, and there are {events}",
            manifest.events
        ));
    }
    let erased = look.erasures();
    let Look { unknown, differences, .. } = look;
    Ok(Verified { manifest, events, checkpoints, erased, unknown, differences })
}

/// Whether a key of the log has signed these bytes.
fn signed_by(origin: &str, note: &[u8], manifest: &[u8], policy: &Policy) -> Result<(), Distrust> {
    let note = Note::parse(note).map_err(Distrust::NoNote)?;
    let keys = policy.logs().iter().filter(|key| key.name() == origin);
    let held = note.verify(keys).map_err(Distrust::Forged)?;
    if held.is_empty() {
        return Err(match policy.altered(&note) {
            Some(error) => Distrust::Forged(error),
            None => Distrust::UnknownKey { origin: origin.to_owned() },
        });
    }
    if note.text == signed_text(manifest) { Ok(()) } else { Err(Distrust::Other) }
}

struct Look<'a> {
    files: &'a BTreeMap<&'a str, &'a [u8]>,
    policy: &'a Policy,
    checkpoint: &'a Checkpoint,
    erasures: Erasures,
    unknown: Vec<u64>,
    differences: Vec<String>,
}

impl Look<'_> {
    fn differs(&mut self, difference: String) {
        if self.differences.len() < MOST {
            self.differences.push(difference);
        }
    }

    /// The manifest names every file, and each is what it says.
    fn manifest(&mut self, manifest: &Manifest) {
        let Checkpoint { origin, size, root, .. } = self.checkpoint;
        let fits = manifest.origin == *origin
            && manifest.size == *size
            && crate::text::hex(root) == manifest.root;
        if !fits {
            self.differs("the manifest is about another log than the checkpoint".to_owned());
        }
        let own = ["manifest.json", "manifest.note"];
        let there: BTreeSet<&str> =
            self.files.keys().copied().filter(|name| !own.contains(name)).collect();
        for (name, hash) in &manifest.files {
            match self.files.get(name.as_str()) {
                None => self.differs(format!("the file {name} is missing")),
                Some(bytes) if crate::text::hex(&Sha256::digest(bytes)) != *hash => {
                    self.differs(format!("the file {name} is not the one that was signed"));
                }
                Some(_) => {}
            }
        }
        for name in there.iter().filter(|name| !manifest.files.contains_key(**name)) {
            self.differs(format!("the file {name} is not in the manifest"));
        }
    }

    /// Each checkpoint continues the one before it.
    fn history(&mut self) -> u64 {
        let (files, policy) = (self.files, self.policy);
        let bodies = files.iter().filter(|(name, _)| name.starts_with("consistency/"));
        let (mut seen, mut count) = (Seen::nothing(), 0);
        for (name, bytes) in bodies {
            let ask = AddCheckpoint::parse(bytes);
            let judged = ask.and_then(|ask| match ask.judge(policy.logs(), seen) {
                // Another key may have signed it in its time: whether the log continues it, can be
                // said all the same.
                Err(Refused::Unsigned) if !ask.is_forged(policy.logs()) => {
                    let next = ask.continues(seen)?;
                    self.unknown.push(next.size);
                    Ok(next)
                }
                judged => judged,
            });
            match judged {
                Ok(next) if next.origin == self.checkpoint.origin => {
                    seen = Seen { size: next.size, root: next.root };
                    count += 1;
                }
                Ok(_) => self.differs(format!("{name}: it is of another log")),
                Err(refused) => self.differs(format!("{name}: {refused}")),
            }
        }
        let Checkpoint { size, root, .. } = self.checkpoint;
        if seen != (Seen { size: *size, root: *root }) {
            self.differs("the history of checkpoints does not lead to the last one".to_owned());
        }
        count
    }

    /// Every entry, every hash, and the root over all.
    fn whole(&mut self) -> u64 {
        let size = self.checkpoint.size;
        let mut walk = Walk::default();
        let mut above: BTreeMap<u32, Vec<Hash>> = BTreeMap::new();
        for bundle in Tile::all(Of::Entries, size) {
            let leaves = self.hashes(Tile { of: Of::Hashes(0), ..bundle });
            let file = self.files.get(format!("tlog/{bundle}").as_str()).copied();
            let entries = file.map(|bytes| tile::entries(bytes, bundle.width));
            let Some(Ok(entries)) = entries else {
                self.differs(format!(
                    "the entries from position {} on cannot be read",
                    walk.size()
                ));
                break;
            };
            for (place, entry) in entries.into_iter().enumerate() {
                let leaf = leaves.get(place).copied().unwrap_or_default();
                let took = walk.entry_or_tombstone(entry, Some(&leaf), &mut self.erasures);
                if let Err(difference) = took {
                    self.differs(difference.to_string());
                }
                for completed in walk.completed() {
                    above.entry(completed.level).or_default().push(completed.hash);
                }
            }
        }
        for (level, derived) in above {
            let stored =
                Tile::all(Of::Hashes(level), walk.size()).flat_map(|tile| self.hashes(tile));
            if stored.collect::<Vec<_>>() != derived {
                self.differs(format!("hashes of level {level} are not those of the entries"));
            }
        }
        if let Err(difference) = walk.is(self.checkpoint) {
            self.differs(difference.to_string());
        }
        walk.size()
    }

    fn hashes(&self, tile: Tile) -> Vec<Hash> {
        let bytes = self.files.get(format!("tlog/{tile}").as_str()).copied().unwrap_or_default();
        tile::hashes(bytes, tile.width).unwrap_or_default()
    }

    /// What was erased; that nobody has ordered what stands in its place is a difference.
    fn erasures(&mut self) -> Settled {
        let settled = std::mem::take(&mut self.erasures).settle();
        for position in &settled.unexplained {
            self.differs(Difference::NotOrdered(*position).to_string());
        }
        settled
    }

    /// Every event that was asked for, by its own proof.
    fn selection(&mut self) -> u64 {
        let files = self.files;
        let lines = files.get("events.ndjson").copied().unwrap_or_default();
        let mut lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut count = 0;
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("proofs/")) {
            let line = lines.next();
            count += 1;
            let proved = Receipt::parse(bytes).ok().zip(line).is_some_and(|(receipt, line)| {
                let Checkpoint { size, root, .. } = self.checkpoint;
                let Receipt { index, proof, extra, .. } = &receipt;
                // Of an erased event the proof names the hash, and its body is a tombstone.
                let erased = erasure::mark(line).is_some();
                let named = extra.as_deref().filter(|_| erased);
                let leaf = named.and_then(|hash| Hash::try_from(hash).ok());
                let leaf = leaf.unwrap_or_else(|| leaf_hash(line));
                match leaf_hash(line) == leaf {
                    true => self.erasures.intact(line),
                    false => drop(self.erasures.changed(*index, line)),
                }
                let proved = merkle::verify_inclusion(*index, *size, &leaf, proof, root).is_ok();
                proved && **name == proof_path(*index)
            });
            if !proved {
                self.differs(format!("{name} does not show that its event is in the log"));
            }
        }
        if lines.next().is_some() {
            self.differs("there are events without proofs".to_owned());
        }
        count
    }
}

/// Where the proof of an event stands in a pack: their names are in the order of positions.
pub fn proof_path(position: u64) -> String {
    format!("proofs/{position:020}.tlog-proof")
}

/// Where the proof stands that a checkpoint of `size` continues the one before it.
pub fn consistency_path(size: u64) -> String {
    format!("consistency/{size:020}.add-checkpoint")
}

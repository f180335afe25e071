//! `runledger verify url`: a log that a server hands out, from its first entry to its checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;

use runledger_ledger::event::Recorded;
use runledger_proof::archive::MANIFEST;
use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::erasure::Erasures;
use runledger_proof::merkle::Hash;
use runledger_proof::tile::{self, Of, Tile};
use runledger_proof::walk::{Difference, Walk};
use runledger_proof::witness::Seen;

use super::super::connection::token;
use super::super::progress::Bar;
use super::super::{Answer, block_on, output};
use crate::client::{Ask, Client, ClientError};

/// Most differences that are told one by one.
const MOST: usize = 100;

/// Verify a log that a server hands out: every entry, every hash, and the checkpoint over all.
///
/// Any log in the form of C2SP tlog-tiles will do. Nothing that the server says is believed but
/// what follows from its entries and what the keys of the policy signed.
#[derive(Debug, clap::Args)]
pub(super) struct OfUrl {
    /// The log, such as https://ledger.example/v1/workspaces/main/log
    url: String,
    /// Whom to trust: a policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// A checkpoint of this log that somebody kept; may be given several times
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The file of the token [default: the token in RUNLEDGER_TOKEN, else none]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// An archive of this log, or a directory below which there are some, for entries that the server
    /// does not have any more; may be given several times
    #[arg(long, value_name = "DIRECTORY")]
    archive: Vec<PathBuf>,
}

pub(super) fn run(url: &OfUrl) -> anyhow::Result<Answer> {
    let policy = super::policy(&url.policy)?;
    let kept = super::kept(&url.checkpoint, Some(&policy))?;
    let client = Client::new(&url.url, token(url.token_file.as_deref())?.trim(), None)?;
    block_on(async {
        let looked = async {
            let note = client.bytes(Ask { path: &["checkpoint"], query: &[] }).await?;
            let checkpoint = match policy.believe(&note) {
                Ok(believed) => believed.checkpoint,
                Err(distrust) => return Ok(super::distrusted("the checkpoint", &distrust)),
            };
            let kept = kept.iter().filter(|(origin, _)| *origin == checkpoint.origin);
            let mut look = Look::new(&client, &checkpoint, kept.map(|(_, seen)| *seen).collect());
            look.archives = with_those_below(&url.archive);
            look.entries().await?;
            look.hashes().await?;
            Ok(look.end())
        };
        match looked.await {
            Ok(answer) => Ok(answer),
            // What the server does not hand out cannot be verified; that is no proof of anything.
            Err(error @ (ClientError::Address(_) | ClientError::Token)) => Err(error.into()),
            Err(error) => {
                output::line("the log could not be read to its end");
                output::error(&error.into());
                Ok(Answer::Incomplete)
            }
        }
    })
}

/// These directories, and the archives that lie in them.
fn with_those_below(directories: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = directories.to_vec();
    for directory in directories {
        let below = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut below: Vec<PathBuf> = below.map(|entry| entry.path()).collect();
        below.retain(|path| path.join(MANIFEST).is_file());
        below.sort();
        all.extend(below);
    }
    all
}

struct Look<'a> {
    client: &'a Client,
    checkpoint: &'a Checkpoint,
    kept: Vec<Seen>,
    walk: Walk,
    erasures: Erasures,
    /// Where entries may be that the server has not.
    archives: Vec<PathBuf>,
    /// What the server said of entries that it has not, with their first position.
    unread: Vec<(u64, String)>,
    /// The hashes of tiles above the lowest that follow from the entries, level by level.
    above: BTreeMap<u32, Vec<Hash>>,
    differences: Vec<String>,
    more: u64,
}

impl<'a> Look<'a> {
    fn new(client: &'a Client, checkpoint: &'a Checkpoint, kept: Vec<Seen>) -> Self {
        let (walk, above, erasures) = (Walk::default(), BTreeMap::new(), Erasures::default());
        let (archives, unread, differences) = (Vec::new(), Vec::new(), Vec::new());
        Look {
            client,
            checkpoint,
            kept,
            walk,
            erasures,
            archives,
            unread,
            above,
            differences,
            more: 0,
        }
    }

    fn differs(&mut self, difference: String) {
        if self.differences.len() < MOST {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }

    async fn tile(&self, tile: Tile) -> Result<Vec<u8>, ClientError> {
        let path = tile.to_string();
        let path: Vec<&str> = path.split('/').collect();
        self.client.bytes(Ask { path: &path, query: &[] }).await
    }

    async fn entries(&mut self) -> Result<(), ClientError> {
        let size = self.checkpoint.size;
        let bar = Bar::new("verifying entries");
        for bundle in Tile::all(Of::Entries, size) {
            let leaves = Tile { of: Of::Hashes(0), ..bundle };
            let leaves = self.tile(leaves).await?;
            let leaves = tile::hashes(&leaves, bundle.width).unwrap_or_default();
            let entries = match self.tile(bundle).await {
                Ok(entries) => entries,
                Err(ClientError::Refused { problem, .. }) if problem.code == "archived" => {
                    match self.archived(bundle) {
                        Some(entries) => entries,
                        None => {
                            self.unread.push((self.walk.size(), problem.detail));
                            leaves.iter().for_each(|leaf| self.leaf(*leaf));
                            continue;
                        }
                    }
                }
                Err(error) => return Err(error),
            };
            let entries = match tile::entries(&entries, bundle.width) {
                Ok(entries) => entries,
                Err(error) => {
                    let position = self.walk.size();
                    self.differs(format!("the bundle from position {position} on: {error}"));
                    break;
                }
            };
            for (place, entry) in entries.into_iter().enumerate() {
                self.entry(entry, leaves.get(place));
            }
            bar.at(self.walk.size(), size);
        }
        Ok(())
    }

    /// A bundle that the server has not, from an archive. What it holds is believed by its hashes.
    fn archived(&self, bundle: Tile) -> Option<Vec<u8>> {
        let name = bundle.to_string();
        self.archives.iter().find_map(|archive| std::fs::read(archive.join(&name)).ok())
    }

    /// An entry that nobody has: its hash has its place in the tree.
    fn leaf(&mut self, leaf: Hash) {
        self.walk.leaf(leaf);
        self.passed();
    }

    fn entry(&mut self, entry: &[u8], leaf: Option<&Hash>) {
        let position = self.walk.size();
        let leaf = Some(leaf.unwrap_or(&[0; 32]));
        if let Err(difference) = self.walk.entry_or_tombstone(entry, leaf, &mut self.erasures) {
            self.differs(difference.to_string());
        } else if Recorded::decode(entry).is_ok_and(|event| event.position != position) {
            self.differs(format!("the entry at position {position} says that it is another one"));
        }
        self.passed();
    }

    fn passed(&mut self) {
        for completed in self.walk.completed() {
            self.above.entry(completed.level).or_default().push(completed.hash);
        }
        let size = self.walk.size();
        if self.kept.iter().any(|seen| seen.size == size && seen.root != self.walk.root()) {
            self.differs(format!(
                "the first {size} entries are not those of the checkpoint that was kept"
            ));
        }
    }

    async fn hashes(&mut self) -> Result<(), ClientError> {
        for (level, derived) in std::mem::take(&mut self.above) {
            for tile in Tile::all(Of::Hashes(level), self.walk.size()) {
                let bytes = self.tile(tile).await?;
                let stored = tile::hashes(&bytes, tile.width).unwrap_or_default();
                let start = usize::try_from(tile.start().unwrap_or_default()).unwrap_or(usize::MAX);
                for (place, hash) in derived.iter().enumerate().skip(start).take(256) {
                    if stored.get(place - start) != Some(hash) {
                        let place = place as u64;
                        let differs = Difference::Hash(level, place);
                        self.differs(differs.to_string());
                    }
                }
            }
        }
        Ok(())
    }

    fn end(mut self) -> Answer {
        if let Err(difference) = self.walk.is(self.checkpoint) {
            self.differs(difference.to_string());
        }
        let settled = std::mem::take(&mut self.erasures).settle();
        for position in &settled.unexplained {
            self.differs(Difference::NotOrdered(*position).to_string());
        }
        let size = self.checkpoint.size;
        let beyond = self.kept.iter().map(|seen| seen.size).filter(|kept| *kept > size).max();
        if let Some(kept) = beyond {
            self.differs(format!("the log ends at {size}, and a checkpoint of {kept} was kept"));
        }
        let Checkpoint { origin, .. } = self.checkpoint;
        if self.differences.is_empty() {
            let unread = !self.unread.is_empty();
            let intact = if unread { "intact as far as it was read" } else { "intact" };
            output::line(format!("{origin}: {intact}; {size} events"));
            output::line(format!("  root {}", hex::encode(self.checkpoint.root)));
            super::print_erased(&settled.erased);
            for (position, why) in &self.unread {
                output::line(format!("  not read from position {position} on: {why}"));
            }
            return if unread { Answer::Incomplete } else { Answer::Yes };
        }
        for difference in &self.differences {
            output::line(format!("{origin}: {difference}"));
        }
        if self.more > 0 {
            output::line(format!("{origin}: and {} more differences", self.more));
        }
        Answer::No
    }
}

//! A walk over a whole log, entry by entry, that notices where it is not what was signed.

use crate::checkpoint::Checkpoint;
use crate::erasure::Erasures;
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::tile::{TileHash, push};

/// A walk from the first entry on. It holds one hash for each level of the tree, and those of the
/// subtrees that are being filled.
#[derive(Debug, Default)]
pub struct Walk {
    frontier: Frontier,
    completed: Vec<TileHash>,
}

/// What differs from what was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// An entry is not the one whose hash is in the tree.
    #[error("the entry at position {0} is not the one that the tree holds")]
    Entry(u64),
    /// An entry was replaced by a tombstone, and nobody has ordered that.
    #[error(
        "the entry at position {0} was replaced by a tombstone that no approved erasure in the log \
         names"
    )]
    NotOrdered(u64),
    /// A hash of a tile is not that of what lies below it.
    #[error("hash {1} of level {0} is not that of the entries below it")]
    Hash(u32, u64),
    /// There are fewer entries than were signed.
    #[error("the log ends at {found} entries, and {signed} were signed")]
    Short {
        /// How many there are.
        found: u64,
        /// How many there were.
        signed: u64,
    },
    /// All entries together are not those that were signed.
    #[error("its entries are not those of the checkpoint: their root is another one")]
    Root,
}

impl Walk {
    /// How many entries have passed.
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the entries that have passed.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Takes the next entry, and compares its hash with the one that is stored for it.
    ///
    /// # Errors
    /// [`Difference::Entry`] if they differ. The walk goes on with the entry itself.
    pub fn entry(&mut self, bytes: &[u8], stored: Option<&Hash>) -> Result<(), Difference> {
        let position = self.size();
        let leaf = leaf_hash(bytes);
        self.leaf(leaf);
        if stored.is_some_and(|stored| *stored != leaf) {
            return Err(Difference::Entry(position));
        }
        Ok(())
    }

    /// The same, where an entry may have been erased: then its place in the tree is that of the
    /// stored hash, and `erasures` judges at the end whether two people had ordered that.
    ///
    /// # Errors
    /// [`Difference::Entry`] if they differ, and the entry says nothing of an erasure.
    pub fn entry_or_tombstone(
        &mut self,
        bytes: &[u8],
        stored: Option<&Hash>,
        erasures: &mut Erasures,
    ) -> Result<(), Difference> {
        match stored {
            Some(stored) if leaf_hash(bytes) == *stored => {
                erasures.intact(bytes);
                self.leaf(*stored);
                Ok(())
            }
            Some(stored) if erasures.changed(self.size(), bytes) => {
                self.leaf(*stored);
                Ok(())
            }
            stored => self.entry(bytes, stored),
        }
    }

    /// Takes the hash of the next entry.
    pub fn leaf(&mut self, leaf: Hash) {
        self.completed.clear();
        push(&mut self.frontier, leaf, &mut self.completed);
    }

    /// The hashes of tiles above the lowest that the last entry has completed, lowest first.
    pub fn completed(&self) -> &[TileHash] {
        &self.completed
    }

    /// Compares all that has passed with a checkpoint of just that many entries.
    ///
    /// # Errors
    /// If they are not those.
    pub fn is(&self, checkpoint: &Checkpoint) -> Result<(), Difference> {
        if self.size() < checkpoint.size {
            return Err(Difference::Short { found: self.size(), signed: checkpoint.size });
        }
        if self.size() == checkpoint.size && self.root() == checkpoint.root {
            return Ok(());
        }
        Err(Difference::Root)
    }
}

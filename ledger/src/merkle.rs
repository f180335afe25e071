//! The RFC 6962 tree over a log: leaf hashes, and the frontier that an append needs.
//!
//! The frontier of a log of `n` events holds one hash per set bit of `n`, the largest subtree
//! first: all that is needed to append, and to tell the root. It is at most 63 hashes.

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of an event's bytes as a leaf: `SHA-256(0x00 || bytes)`.
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(bytes);
    hash.finalize().into()
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// The right edge of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

/// Stored bytes that are no frontier of a tree of the stored size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frontier of {size} leaves cannot have {bytes} bytes")]
pub struct FrontierError {
    size: u64,
    bytes: usize,
}

impl Frontier {
    /// Reads a frontier back from what [`Frontier::to_bytes`] wrote.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, FrontierError> {
        let hashes: Vec<Hash> =
            bytes.chunks_exact(32).filter_map(|chunk| chunk.try_into().ok()).collect();
        let wanted = size.count_ones() as usize;
        if hashes.len() != wanted || bytes.len() != wanted * 32 {
            return Err(FrontierError { size, bytes: bytes.len() });
        }
        Ok(Frontier { size, hashes })
    }

    /// Its hashes one after another, the largest subtree first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing set bit of the size is a subtree that the new leaf completes a pair with.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The tree's root; of an empty tree the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut hashes = self.hashes.iter().rev();
        let Some(smallest) = hashes.next() else {
            return Sha256::digest([]).into();
        };
        hashes.fold(*smallest, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962 section 2.1, word for word.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    #[test]
    fn the_published_constants_hold() {
        let empty_leaf = hex::encode(leaf_hash(b""));
        assert_eq!(empty_leaf, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        let empty_tree = hex::encode(Frontier::default().root());
        assert_eq!(empty_tree, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn the_frontier_tells_the_root_of_the_definition_at_every_size() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        for number in 0..600_u32 {
            assert_eq!(frontier.root(), root_by_definition(&leaves), "size {number}");
            let read_back = Frontier::from_bytes(frontier.size(), &frontier.to_bytes());
            assert_eq!(read_back.as_ref(), Ok(&frontier));
            let leaf = leaf_hash(&number.to_be_bytes());
            leaves.push(leaf);
            frontier.push(leaf);
        }
    }

    #[test]
    fn an_independent_tree_has_the_same_roots() {
        let mut theirs =
            ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
        let mut ours = Frontier::default();
        for number in 0..200_u32 {
            theirs.push(number.to_be_bytes().to_vec());
            ours.push(leaf_hash(&number.to_be_bytes()));
            assert_eq!(ours.root()[..], theirs.root().as_bytes()[..], "size {}", ours.size());
        }
    }

    #[test]
    fn bytes_that_are_no_frontier_are_refused() {
        assert!(Frontier::from_bytes(3, &[0; 32]).is_err());
        assert!(Frontier::from_bytes(1, &[0; 33]).is_err());
        assert!(Frontier::from_bytes(0, &[]).is_ok());
    }
}

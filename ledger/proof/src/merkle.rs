//! The RFC 6962 tree over a log: its hashes, the frontier that an append needs, and the proofs.
//!
//! A proof is planned first, as the nodes that it needs; whoever stores them fetches all at once,
//! and the plan makes the proof of them. So no proof needs to know how nodes are stored.
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
    let mut node = [1; 65];
    node[1..33].copy_from_slice(left);
    node[33..].copy_from_slice(right);
    Sha256::digest(node).into()
}

/// The root of a tree without leaves: the hash of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// A complete subtree: that of the leaves from `index << level` on, `1 << level` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// How high it stands; 0 is a leaf.
    pub level: u32,
    /// Its place among those of its level, from 0.
    pub index: u64,
}

/// The nodes that a proof is made of: one list for each of its hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    parts: Vec<Vec<Node>>,
}

/// A proof that shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is about a leaf, or a tree, that cannot be.
    #[error("{0} is not in a tree of {1} leaves")]
    OutOfRange(u64, u64),
    /// It has more or fewer hashes than such a proof has.
    #[error("such a proof has {wanted} hashes, and not {found}")]
    Length {
        /// How many it should have.
        wanted: usize,
        /// How many it has.
        found: usize,
    },
    /// What follows from it is another root.
    #[error("the proof leads to another root")]
    Root,
}

/// What the proof that leaf `index` is in the tree of `size` leaves is made of.
///
/// # Errors
/// [`ProofError::OutOfRange`] if there is no such leaf in it.
pub fn plan_inclusion(index: u64, size: u64) -> Result<Plan, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange(index, size));
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, size);
    // From the root down, so the hashes come in the wrong order.
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            parts.push(complete(middle, end));
            end = middle;
        } else {
            parts.push(complete(start, middle));
            start = middle;
        }
    }
    parts.reverse();
    Ok(Plan { parts })
}

/// What the proof that the tree of `to` leaves begins with the one of `from` leaves is made of.
///
/// # Errors
/// [`ProofError::OutOfRange`] if it cannot begin with it.
pub fn plan_consistency(from: u64, to: u64) -> Result<Plan, ProofError> {
    if from > to {
        return Err(ProofError::OutOfRange(from, to));
    }
    let mut parts = Vec::new();
    if from == 0 || from == to {
        return Ok(Plan { parts });
    }
    let (mut start, mut end) = (0, to);
    while end > from {
        let middle = start + split(end - start);
        if from <= middle {
            parts.push(complete(middle, end));
            end = middle;
        } else {
            parts.push(complete(start, middle));
            start = middle;
        }
    }
    // The old tree itself is what the verifier has already, if it is one complete subtree.
    if start > 0 {
        parts.push(complete(start, end));
    }
    parts.reverse();
    Ok(Plan { parts })
}

/// What the root of a tree of `size` leaves is made of.
pub fn plan_root(size: u64) -> Plan {
    Plan { parts: vec![complete(0, size)] }
}

impl Plan {
    /// Every node that it needs.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + '_ {
        self.parts.iter().flatten().copied()
    }

    /// The proof, if `hash` knows every node.
    pub fn proof(&self, hash: impl Fn(Node) -> Option<Hash>) -> Option<Vec<Hash>> {
        self.parts
            .iter()
            .map(|nodes| {
                let mut hashes = nodes.iter().rev().map(|node| hash(*node));
                let Some(smallest) = hashes.next() else { return Some(empty_root()) };
                hashes.try_fold(smallest?, |right, left| Some(node_hash(&left?, &right)))
            })
            .collect()
    }
}

/// The largest power of two that is less than `leaves`, which is at least 2.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).checked_ilog2().unwrap_or_default()
}

/// The complete subtrees that the leaves from `start` up to `end` consist of, largest first.
/// `start` is a multiple of a power of two that is no less than their number.
fn complete(mut start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    while let Some(level) = (end - start).checked_ilog2() {
        nodes.push(Node { level, index: start >> level });
        start += 1 << level;
    }
    nodes
}

/// The root of the tree of `size` leaves in which `proof` puts `leaf` at `index`.
///
/// # Errors
/// If no such proof can be.
pub fn root_of_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
) -> Result<Hash, ProofError> {
    let wanted = plan_inclusion(index, size)?.parts.len();
    if proof.len() != wanted {
        return Err(ProofError::Length { wanted, found: proof.len() });
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        // The last node of a level without a sibling rises until it has one.
        while place == last && place & 1 == 0 && place > 0 {
            (place, last) = (place >> 1, last >> 1);
        }
        hash = if place & 1 == 1 { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
        (place, last) = (place >> 1, last >> 1);
    }
    Ok(hash)
}

/// Checks that `leaf` is at `index` in the tree of `size` leaves with that `root`.
///
/// # Errors
/// If `proof` does not show it.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    match root_of_inclusion(index, size, leaf, proof)? {
        derived if derived == *root => Ok(()),
        _ => Err(ProofError::Root),
    }
}

/// Checks that the tree of `to` leaves with the root `new` begins with the tree of `from` leaves
/// with the root `old`.
///
/// # Errors
/// If `proof` does not show it.
pub fn verify_consistency(
    from: u64,
    to: u64,
    old: &Hash,
    new: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let wanted = plan_consistency(from, to)?.parts.len();
    if proof.len() != wanted {
        return Err(ProofError::Length { wanted, found: proof.len() });
    }
    let (mut of_old, mut of_new, rest);
    if from == 0 {
        return if *old == empty_root() { Ok(()) } else { Err(ProofError::Root) };
    }
    if from == to {
        return if old == new { Ok(()) } else { Err(ProofError::Root) };
    }
    if from.is_power_of_two() {
        (of_old, of_new, rest) = (*old, *old, proof);
    } else {
        let Some((first, others)) = proof.split_first() else { return Err(ProofError::Root) };
        (of_old, of_new, rest) = (*first, *first, others);
    }
    // The last node of the old tree that is complete, and the last node of the new one beside it.
    let shift = from.trailing_zeros();
    let (mut place, mut last) = ((from - 1) >> shift, (to - 1) >> shift);
    for hash in rest {
        while place == last && place & 1 == 0 && place > 0 {
            (place, last) = (place >> 1, last >> 1);
        }
        if place & 1 == 1 {
            of_old = node_hash(hash, &of_old);
            of_new = node_hash(hash, &of_new);
        } else {
            of_new = node_hash(&of_new, hash);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if of_old == *old && of_new == *new { Ok(()) } else { Err(ProofError::Root) }
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
        self.push_telling(leaf, |_, _| {});
    }

    /// Appends a leaf, and tells every complete subtree that ends with it, from the leaf itself up.
    pub fn push_telling(&mut self, leaf: Hash, mut tell: impl FnMut(Node, Hash)) {
        let mut node = Node { level: 0, index: self.size };
        let mut hash = leaf;
        tell(node, hash);
        // Each trailing set bit of the size is a subtree that the new leaf completes a pair with.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
                node = Node { level: node.level + 1, index: node.index >> 1 };
                tell(node, hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The tree's root; of an empty tree the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut hashes = self.hashes.iter().rev();
        let Some(smallest) = hashes.next() else {
            return empty_root();
        };
        hashes.fold(*smallest, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests;

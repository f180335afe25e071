//! Tiles and bundles of entries (C2SP tlog-tiles): how a log is handed out in pieces that never
//! change once they are full.

use std::fmt;

use crate::merkle::{Frontier, Hash, Node};

/// Hashes of a full tile, and entries of a full bundle.
pub const WIDTH: u64 = 256;
/// The height of the subtree that a full tile is.
pub const HEIGHT: u32 = 8;
/// Most bytes of one entry: its length is told in two bytes.
pub const MOST_ENTRY_BYTES: usize = u16::MAX as usize;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// Hashes of subtrees of 256^level leaves.
    Hashes(u32),
    /// The entries themselves.
    Entries,
}

/// A tile, named as in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What it holds.
    pub of: Of,
    /// Its place among those of its level.
    pub index: u64,
    /// How much it holds, from 1 to 256.
    pub width: u64,
}

/// A hash of a tile above the lowest: the root of a subtree of 256^level leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileHash {
    /// Its level of tiles, from 1.
    pub level: u32,
    /// Its place among those of its level.
    pub index: u64,
    /// The root.
    pub hash: Hash,
}

/// Why bytes are not the bundle that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry ends after the bundle.
    #[error("it ends in the middle of entry {0}")]
    CutOff(u64),
    /// It holds more or fewer entries.
    #[error("it holds {found} entries, and not {wanted}")]
    Count {
        /// How many it should hold.
        wanted: u64,
        /// How many it holds.
        found: u64,
    },
}

impl Tile {
    /// The tile that a path below the log's prefix names, such as `tile/0/x001/234.p/5`.
    pub fn parse(path: &str) -> Option<Tile> {
        let (of, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let of = match of {
            "entries" => Of::Entries,
            level => {
                let level = crate::text::number(level).and_then(|level| u32::try_from(level).ok());
                Of::Hashes(level.filter(|level| *level < 64)?)
            }
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => {
                (index, crate::text::number(width).filter(|width| (1..WIDTH).contains(width))?)
            }
            None => (rest, WIDTH),
        };
        let tile = Tile { of, index: parse_index(index)?, width };
        // One way to write each: no group of zeros before the others.
        (tile.to_string() == path).then_some(tile)
    }

    /// The tiles of one kind that a log of `size` entries has, in their order; the last may be
    /// partial.
    pub fn all(of: Of, size: u64) -> impl Iterator<Item = Tile> {
        let count = of.count(size);
        let (full, rest) = (count / WIDTH, count % WIDTH);
        let tile = move |index, width| Tile { of, index, width };
        (0..full).map(move |index| tile(index, WIDTH)).chain((rest > 0).then(|| tile(full, rest)))
    }

    /// The place of its first hash or entry among all of its level.
    pub fn start(&self) -> Option<u64> {
        self.index.checked_mul(WIDTH)
    }

    /// The place after its last one.
    pub fn end(&self) -> Option<u64> {
        self.start()?.checked_add(self.width)
    }

    /// Whether a log of `size` entries has that much.
    pub fn is_in(&self, size: u64) -> bool {
        self.end().is_some_and(|end| end <= self.of.count(size))
    }

    /// Whether it never changes, nor grows.
    pub const fn is_full(&self) -> bool {
        self.width == WIDTH
    }
}

impl Of {
    /// How many of them a log of `size` entries has.
    pub fn count(self, size: u64) -> u64 {
        match self {
            Of::Entries => size,
            Of::Hashes(level) => {
                level.checked_mul(HEIGHT).and_then(|bits| size.checked_shr(bits)).unwrap_or(0)
            }
        }
    }
}

/// As it stands in paths.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Of::Entries => write!(f, "tile/entries")?,
            Of::Hashes(level) => write!(f, "tile/{level}")?,
        }
        let mut groups = vec![self.index % 1_000];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            write!(f, "/{}{group:03}", if place > 0 { "x" } else { "" })?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

fn parse_index(text: &str) -> Option<u64> {
    let mut index = 0_u64;
    let mut groups = text.split('/').peekable();
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(index)
}

/// Where the hash of a node lies, or those that it follows from: the level of tiles, and the places
/// from the first up to the last, which is not among them. No more than 128 of one tile.
pub fn hashes_of(node: Node) -> (u32, std::ops::Range<u64>) {
    let (level, above) = (node.level / HEIGHT, node.level % HEIGHT);
    let start = node.index << above;
    (level, start..start + (1 << above))
}

/// Appends a leaf to a tree, and adds to `completed` the hashes of tiles that it completes.
pub fn push(frontier: &mut Frontier, leaf: Hash, completed: &mut Vec<TileHash>) {
    frontier.push_telling(leaf, |node, hash| {
        if node.level > 0 && node.level.is_multiple_of(HEIGHT) {
            completed.push(TileHash { level: node.level / HEIGHT, index: node.index, hash });
        }
    });
}

/// The root of a complete subtree over `hashes`, whose number is a power of two.
pub fn subtree_root(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    hashes.iter().for_each(|hash| frontier.push(*hash));
    frontier.root()
}

/// The hashes that a tile of hashes holds, if it is a tile of that `width`.
pub fn hashes(bytes: &[u8], width: u64) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && hashes.len() as u64 == width).then(|| hashes.to_vec())
}

/// Adds an entry to a bundle. False if it is too long, and then it was not added.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The entries that a bundle holds, if it is a bundle of that `width`.
///
/// # Errors
/// If it is not.
pub fn entries(mut bundle: &[u8], width: u64) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let count = entries.len() as u64;
        if count == WIDTH {
            return Err(BundleError::Count { wanted: width, found: count + 1 });
        }
        let (length, rest) = bundle.split_first_chunk::<2>().ok_or(BundleError::CutOff(count))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(BundleError::CutOff(count))?;
        entries.push(entry);
        bundle = rest;
    }
    let found = entries.len() as u64;
    if found == width { Ok(entries) } else { Err(BundleError::Count { wanted: width, found }) }
}

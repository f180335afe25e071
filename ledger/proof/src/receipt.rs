//! Files that prove that one entry is in a log (C2SP tlog-proof).

use std::fmt;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merkle::{self, Hash, ProofError};
use crate::note::{Note, NoteError};
use crate::text;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Most bytes of a file: those of a note, and of what stands before it.
const MOST_BYTES: usize = crate::note::MOST_BYTES + 64 * 1024;
/// Most hashes of a proof: a tree is no higher.
const MOST_HASHES: usize = 63;

/// A `.tlog-proof` file: which place an entry has, a proof, and the checkpoint that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Anything. Nobody vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The position of the entry.
    pub index: u64,
    /// From its sibling up to the root's child.
    pub proof: Vec<Hash>,
    /// The checkpoint, not yet believed.
    pub note: Note,
}

/// Why bytes are no receipt, or one that shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is not written as such files are.
    #[error("it is no tlog-proof: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is no note.
    #[error("its checkpoint cannot be read")]
    Note(#[from] NoteError),
    /// Its note is no checkpoint.
    #[error("its note cannot be read")]
    Checkpoint(#[from] CheckpointError),
    /// The proof does not lead from the entry to the checkpoint.
    #[error("it does not show that the entry is in the log")]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// Reads a file. Nothing of it is believed.
    ///
    /// # Errors
    /// If it is no such file.
    pub fn parse(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
        use ReceiptError::Malformed;
        if bytes.len() > MOST_BYTES {
            return Err(Malformed("it is too long"));
        }
        let file = std::str::from_utf8(bytes).map_err(|_| Malformed("it is not text"))?;
        let (head, note) = file.split_once("\n\n").ok_or(Malformed("it has no checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(Malformed("it does not begin as such files do"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra
            .map(|line| {
                text::bytes(&line["extra ".len()..]).ok_or(Malformed("`extra` is no base64"))
            })
            .transpose()?;
        let index = lines.next().and_then(|line| text::number(line.strip_prefix("index ")?));
        let index = index.ok_or(Malformed("it names no index"))?;
        let proof = hashes(lines).ok_or(Malformed("a line of its proof is no hash"))?;
        Ok(Receipt { extra, index, proof, note: Note::parse(note.as_bytes())? })
    }

    /// The checkpoint that it leads to, if the entry with this leaf hash is where it says. Whether
    /// the checkpoint can be believed is another question.
    ///
    /// # Errors
    /// If it does not show that.
    pub fn leads_to(&self, leaf: &Hash) -> Result<Checkpoint, ReceiptError> {
        let checkpoint = Checkpoint::parse(&self.note.text)?;
        let Checkpoint { size, root, .. } = &checkpoint;
        merkle::verify_inclusion(self.index, *size, leaf, &self.proof, root)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", text::base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", text::base64(hash)))?;
        write!(f, "\n{}", self.note)
    }
}

/// One hash a line; none if one is no hash, or there are more than a proof can have.
pub(crate) fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Hash>> {
    let hashes: Option<Vec<Hash>> = lines.take(MOST_HASHES + 1).map(text::hash).collect();
    hashes.filter(|hashes| hashes.len() <= MOST_HASHES)
}

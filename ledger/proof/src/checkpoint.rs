//! Checkpoints (C2SP tlog-checkpoint): whose log, how long, and its root.

use std::fmt;

use crate::merkle::Hash;
use crate::text;

/// What a signed checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a name for ever, and the name of its key.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// Further lines. Ours have none; nothing checks what others say there.
    pub extensions: Vec<String>,
}

/// Text that is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no checkpoint: {0}")]
pub struct CheckpointError(&'static str);

impl Checkpoint {
    /// A checkpoint without further lines.
    pub fn new(origin: &str, size: u64, root: Hash) -> Checkpoint {
        Checkpoint { origin: origin.to_owned(), size, root, extensions: Vec::new() }
    }

    /// Reads the text of a note.
    ///
    /// # Errors
    /// If it is no checkpoint.
    pub fn parse(note: &str) -> Result<Checkpoint, CheckpointError> {
        let body =
            note.strip_suffix('\n').ok_or(CheckpointError("it does not end in a newline"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(CheckpointError("its first line is no origin"))?;
        let size = lines.next().and_then(text::number);
        let size = size.ok_or(CheckpointError("its second line is no size"))?;
        let root = lines.next().and_then(text::hash);
        let root = root.ok_or(CheckpointError("its third line is no SHA-256 hash"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError("a further line of it is empty"));
        }
        Ok(Checkpoint { origin: origin.to_owned(), size, root, extensions })
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, text::base64(&self.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

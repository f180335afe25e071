//! What a log asks a witness, and what the witness must answer (C2SP tlog-witness).
//!
//! The body of `add-checkpoint` is also how the proof between two checkpoints is kept: it can be
//! shown to any witness.

use std::fmt;

use crate::checkpoint::Checkpoint;
use crate::merkle::{self, Hash};
use crate::note::{Note, NoteError, VerifierKey};
use crate::receipt::hashes;
use crate::text;

/// Most bytes of a body.
pub const MOST_BYTES: usize = crate::note::MOST_BYTES + 4 * 1024;

/// The body of `add-checkpoint`: a checkpoint, and the proof that its log continues an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the older one.
    pub old: u64,
    /// The consistency proof.
    pub proof: Vec<Hash>,
    /// The checkpoint, not yet believed.
    pub note: Note,
}

/// What a witness remembers of a log: the last that it signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Seen {
    /// Of a log that was never seen.
    pub fn nothing() -> Seen {
        Seen { size: 0, root: merkle::empty_root() }
    }
}

/// Why a witness does not sign. Each has its HTTP status in the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 400: the body cannot be read, or cannot be meant.
    #[error("{0}")]
    Malformed(&'static str),
    /// 404: no key of this log is known.
    #[error("the log {0} is not known here")]
    UnknownOrigin(String),
    /// 403: nobody known has signed it.
    #[error("no known key of the log has signed it")]
    Unsigned,
    /// 409: the log was last seen at this size.
    #[error("the log was last seen with {0} entries")]
    Stale(u64),
    /// 409: the log had another root at the same size.
    #[error("the log had another root when it last had {0} entries")]
    Fork(u64),
    /// 422: the proof shows nothing.
    #[error("it does not show that the log continues what was last seen")]
    Inconsistent,
}

impl AddCheckpoint {
    /// Reads a body. Nothing of it is believed.
    ///
    /// # Errors
    /// [`Refused::Malformed`] if it is none.
    pub fn parse(bytes: &[u8]) -> Result<AddCheckpoint, Refused> {
        if bytes.len() > MOST_BYTES {
            return Err(Refused::Malformed("it is too long"));
        }
        let body = std::str::from_utf8(bytes).map_err(|_| Refused::Malformed("it is not text"))?;
        let (head, note) =
            body.split_once("\n\n").ok_or(Refused::Malformed("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| text::number(line.strip_prefix("old ")?));
        let old = old.ok_or(Refused::Malformed("its first line is no old size"))?;
        let proof = hashes(lines).ok_or(Refused::Malformed("a line of its proof is no hash"))?;
        let note = Note::parse(note.as_bytes());
        let note = note.map_err(|_| Refused::Malformed("its checkpoint is no note"))?;
        Ok(AddCheckpoint { old, proof, note })
    }

    /// What a witness that has `seen` the log last, and trusts `keys`, must say. On `Ok` it
    /// remembers the answer before it signs.
    ///
    /// # Errors
    /// If it must not sign.
    pub fn judge(&self, keys: &[VerifierKey], seen: Seen) -> Result<Checkpoint, Refused> {
        let checkpoint = Checkpoint::parse(&self.note.text);
        let checkpoint = checkpoint.map_err(|_| Refused::Malformed("its note is no checkpoint"))?;
        let Checkpoint { origin, .. } = &checkpoint;
        let of_log: Vec<&VerifierKey> = keys.iter().filter(|key| key.name() == origin).collect();
        if of_log.is_empty() {
            return Err(Refused::UnknownOrigin(origin.clone()));
        }
        match self.note.verify(of_log) {
            Ok(held) if !held.is_empty() => {}
            Ok(_) | Err(NoteError::Invalid(_)) => return Err(Refused::Unsigned),
            Err(_) => return Err(Refused::Malformed("its checkpoint is no note")),
        }
        self.continues(seen)
    }

    /// Whether a key that is trusted is named as the maker of a signature that does not hold.
    pub(crate) fn is_forged(&self, keys: &[VerifierKey]) -> bool {
        self.note.verify(keys).is_err()
    }

    /// Whether its checkpoint continues what was `seen` of the log, whoever has signed it.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn continues(&self, seen: Seen) -> Result<Checkpoint, Refused> {
        let checkpoint = Checkpoint::parse(&self.note.text);
        let checkpoint = checkpoint.map_err(|_| Refused::Malformed("its note is no checkpoint"))?;
        let Checkpoint { size, root, .. } = &checkpoint;
        if self.old > *size {
            return Err(Refused::Malformed("its old size is larger than that of the checkpoint"));
        }
        if self.old != seen.size {
            return Err(Refused::Stale(seen.size));
        }
        if self.old == *size && seen.root != *root {
            return Err(Refused::Fork(*size));
        }
        merkle::verify_consistency(self.old, *size, &seen.root, root, &self.proof)
            .map_err(|_| Refused::Inconsistent)?;
        Ok(checkpoint)
    }
}

impl Refused {
    /// The HTTP status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Refused::Malformed(_) => 400,
            Refused::Unsigned => 403,
            Refused::UnknownOrigin(_) => 404,
            Refused::Stale(_) | Refused::Fork(_) => 409,
            Refused::Inconsistent => 422,
        }
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", text::base64(hash)))?;
        write!(f, "\n{}", self.note)
    }
}

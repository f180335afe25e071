//! What an authority said of when a checkpoint was there (RFC 3161, specs/0030).

use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::note::Note;
use runledger_proof::timestamp;
use runledger_proof::witness::Seen;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::time::Moment;
use crate::words::WorkspaceId;

/// Most bytes of a checkpoint that is kept with its token: both have to fit into one event.
const NOTE_BYTES: usize = 8 * 1024;

/// Somebody kept what an authority said of when a checkpoint was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointTimestamped {
    /// The checkpoint, byte by byte: what the token is of.
    pub note: String,
    /// The root of its events, in hexadecimal.
    pub root: String,
    /// How many they are.
    pub size: u64,
    /// When it was there by the authority's clock, as the token tells.
    pub stamped_at: Moment,
    /// The authority's answer, byte by byte, in base64.
    pub token: String,
}

impl CheckpointTimestamped {
    /// What is kept of a checkpoint of the log of `workspace` and the authority's answer.
    ///
    /// # Errors
    /// Why they do not belong together.
    pub fn new(workspace: WorkspaceId, note: &[u8], answer: &[u8]) -> Result<Self, String> {
        if note.len() > NOTE_BYTES {
            return Err("the checkpoint has too many signatures to be kept with a token".to_owned());
        }
        let stamped = timestamp::read(answer).map_err(|error| error.to_string())?;
        let note = String::from_utf8(note.to_vec()).map_err(|error| error.to_string())?;
        let Checkpoint { size, root, .. } = checkpoint(&note)?;
        let told = CheckpointTimestamped {
            note,
            root: hex::encode(root),
            size,
            stamped_at: Moment::from_micros(stamped.at),
            token: timestamp::to_text(answer),
        };
        told.check(workspace).map(|_| told)
    }

    /// Which checkpoint of the log of `workspace` was there, if all of it fits together. That an
    /// authority has signed the token, `openssl ts -verify` says.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, workspace: WorkspaceId) -> Result<Seen, String> {
        let Checkpoint { origin, size, root, .. } = checkpoint(&self.note)?;
        if !origin.ends_with(&format!("/ledger/{workspace}")) {
            return Err(format!("the checkpoint is of the log {origin}"));
        }
        if size != self.size || hex::encode(root) != self.root {
            return Err("the checkpoint is of another size or root than the event says".to_owned());
        }
        let answer = self.answer().ok_or("its token is not in base64")?;
        let stamped = timestamp::read(&answer).map_err(|error| error.to_string())?;
        if stamped.imprint[..] != Sha256::digest(self.note.as_bytes())[..] {
            return Err("the token is of other bytes than those of the checkpoint".to_owned());
        }
        if stamped.at != self.stamped_at.micros() {
            return Err("the token tells another time than the event".to_owned());
        }
        Ok(Seen { size, root })
    }

    /// The authority's answer.
    pub fn answer(&self) -> Option<Vec<u8>> {
        timestamp::from_text(&self.token)
    }
}

fn checkpoint(note: &str) -> Result<Checkpoint, String> {
    let note = Note::parse(note.as_bytes()).map_err(|error| error.to_string())?;
    Checkpoint::parse(&note.text).map_err(|error| error.to_string())
}

//! `runledger verify receipt`: an event and what its reporter kept, and nothing else.

use std::path::PathBuf;

use runledger_proof::merkle::{Hash, leaf_hash};
use runledger_proof::receipt::{Receipt, ReceiptError};

use super::super::{Answer, Unusable, output};

/// Verify that an event is in the log, by a proof that somebody kept. No server is asked.
#[derive(Debug, clap::Args)]
pub(super) struct OfReceipt {
    /// The `.tlog-proof` file, as `GET …/log/events/{position}/proof` gave it
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The file of the event, byte by byte as it was recorded
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "leaf_hash",
        conflicts_with = "leaf_hash"
    )]
    event: Option<PathBuf>,
    /// The leaf hash of the event, as the answer to its report gave it
    #[arg(long, value_name = "HEX")]
    leaf_hash: Option<String>,
    /// Whom to trust: a policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

pub(super) fn run(receipt: &OfReceipt) -> anyhow::Result<Answer> {
    let policy = super::policy(&receipt.policy)?;
    let leaf = leaf(receipt)?;
    let name = receipt.proof.display();
    let bytes = super::read(&receipt.proof)?;
    let proof = match Receipt::parse(&bytes) {
        Ok(proof) => proof,
        Err(error) => {
            output::line(format!("{name}: {error}"));
            return Ok(Answer::Incomplete);
        }
    };
    let believed = match policy.believe_note(&proof.note) {
        Ok(believed) => believed,
        Err(distrust) => return Ok(super::distrusted("its checkpoint", &distrust)),
    };
    match proof.leads_to(&leaf) {
        Ok(checkpoint) => {
            output::line(format!(
                "intact: the event is at position {} of {}, in its first {} events",
                proof.index, checkpoint.origin, checkpoint.size
            ));
            for key in &believed.logs {
                output::line(format!("  signed by {key}"));
            }
            Ok(Answer::Yes)
        }
        Err(ReceiptError::Proof(error)) => {
            output::line(format!(
                "position {} of {} does not hold this event: {error}",
                proof.index, believed.checkpoint.origin
            ));
            Ok(Answer::No)
        }
        Err(error) => {
            output::line(format!("{name}: {error}"));
            Ok(Answer::Incomplete)
        }
    }
}

fn leaf(receipt: &OfReceipt) -> anyhow::Result<Hash> {
    if let Some(path) = &receipt.event {
        let bytes = super::read(path)?;
        // Canonical bytes never end in a line break, and editors add one.
        return Ok(leaf_hash(bytes.strip_suffix(b"\n").unwrap_or(&bytes)));
    }
    let hash = receipt.leaf_hash.as_deref().unwrap_or_default();
    let bytes = hex::decode(hash).ok().and_then(|bytes| bytes.try_into().ok());
    Ok(bytes
        .ok_or_else(|| Unusable(format!("{hash:?} is no leaf hash of 64 hexadecimal digits")))?)
}

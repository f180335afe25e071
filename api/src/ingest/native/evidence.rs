//! What may be in the evidence of an observation. It is kept for ever, so it goes through the same
//! check as the evidence of adapters (DESIGN section 9). What is said of a refusal names the key,
//! never the value.

use runledger_adapters::seam::suspicion;
use runledger_ledger::run::{Fields, Scalar};

use super::read::escaped;
use crate::ingest::ItemError;

/// Where it is in its event.
const AT: &str = "/data/evidence";

/// Refuses evidence with a value or a key that looks like what must not be recorded.
pub(super) fn check(evidence: &Fields) -> Result<(), ItemError> {
    for (key, value) in evidence {
        if let Some(what) = suspicion(key.as_str()) {
            let problem = format!("has a key that must not be recorded: it looks like {what}");
            return Err(ItemError::at("evidence_suspicious", AT, problem));
        }
        if let Scalar::Text(text) = value
            && let Some(what) = suspicion(text.as_str())
        {
            let problem = format!("must not be recorded: it looks like {what}");
            let pointer = format!("{AT}/{}", escaped(key.as_str()));
            return Err(ItemError::at("evidence_suspicious", pointer, problem));
        }
    }
    Ok(())
}

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
        check_key(key.as_str())?;
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

fn check_key(key: &str) -> Result<(), ItemError> {
    suspicion(key).map_or(Ok(()), |what| {
        let problem = format!("has a key that must not be recorded: it looks like {what}");
        Err(ItemError::at("evidence_suspicious", AT, problem))
    })
}

/// The error of a value of evidence in words about its key; any other error as it is.
pub(super) fn explained(error: ItemError) -> ItemError {
    const WANTED: &str = "must be a text of 1 to 4,096 bytes without control characters, a whole \
                          number within 2^53, true or false";
    let below = error.pointer.as_deref().and_then(|at| at.strip_prefix(AT)?.strip_prefix('/'));
    let Some(key) = below.and_then(|below| below.split('/').next()) else {
        return error;
    };
    let at = || ItemError::at("evidence_not_of_its_kind", format!("{AT}/{key}"), WANTED);
    check_key(key).map_or_else(|suspicious| suspicious, |()| at())
}

//! Reasons beside the guidance that tells the same.

use super::Texts;
use crate::rules::actionability::{Actionability, Reason, Verdict};

impl Texts {
    /// Why a verdict is what it is, where that is more than the guidance beside it says, which names
    /// the plain problem itself.
    pub fn more_reason(&self, verdict: &Verdict) -> Option<String> {
        let plain = verdict.status == Actionability::Actionable
            && verdict.reason.as_deref() == Some(Reason::Problem.as_str());
        if plain { None } else { self.reason(verdict) }
    }
}

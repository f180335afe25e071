//! Reasons beside the guidance that tells the same.

use super::Texts;
use crate::rules::actionability::{Reason, Verdict, is_follow_up};

impl Texts {
    /// Why a verdict is what it is, where that is more than the guidance beside it says, which names
    /// the plain problem itself.
    pub fn more_reason(&self, verdict: &Verdict) -> Option<String> {
        let plain = is_follow_up(verdict.status)
            && verdict.reason.as_deref() == Some(Reason::Problem.as_str());
        if plain { None } else { self.reason(verdict) }
    }
}

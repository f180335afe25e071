//! The hint of active work that every screen carries.
//!
//! It speaks of runs that have not ended, and of nothing else: a finished problem is a follow-up,
//! and is counted apart. One that is past its window makes it loud, however many are in time.

use runledger_ledger::words;
use serde::{Deserialize, Serialize};

use super::guidance::Severity;

words! {
    /// What is said of the active runs.
    ActivityKey {
        /// Nothing is active.
        Nothing = "nothing",
        /// All are inside their windows.
        InTime = "in_time",
        /// None is past its window, as far as is known; of some no window is known.
        Unverified = "unverified",
        /// Some are past their window.
        Overdue = "overdue",
    }
}

/// How many runs are active, and how they stand against their windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Inside their window.
    pub fresh: u64,
    /// Past their window.
    pub stale: u64,
    /// Without a known window.
    pub unknown: u64,
}

impl Activity {
    /// All of them.
    pub const fn active(&self) -> u64 {
        self.fresh + self.stale + self.unknown
    }

    /// What is to be said.
    pub const fn key(&self) -> ActivityKey {
        match self {
            Activity { stale: 1.., .. } => ActivityKey::Overdue,
            Activity { unknown: 1.., .. } => ActivityKey::Unverified,
            Activity { fresh: 1.., .. } => ActivityKey::InTime,
            Activity { .. } => ActivityKey::Nothing,
        }
    }

    /// How loud it is.
    pub const fn severity(&self) -> Severity {
        match self.key() {
            ActivityKey::Overdue => Severity::Attention,
            ActivityKey::Unverified => Severity::Notice,
            ActivityKey::InTime | ActivityKey::Nothing => Severity::Calm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stale_run_among_a_thousand_is_never_calm() {
        let activity = Activity { fresh: 999, stale: 1, unknown: 5 };
        assert_eq!(activity.key(), ActivityKey::Overdue);
        assert_eq!(activity.severity(), Severity::Attention);
        assert_eq!(activity.active(), 1005);
    }

    #[test]
    fn what_nobody_can_tell_is_not_called_in_time() {
        let unverified = Activity { fresh: 9, unknown: 1, stale: 0 };
        assert_eq!(unverified.key(), ActivityKey::Unverified);
        let in_time = Activity { fresh: 9, ..Activity::default() };
        assert_eq!((in_time.key(), in_time.severity()), (ActivityKey::InTime, Severity::Calm));
        assert_eq!(Activity::default().key(), ActivityKey::Nothing);
    }
}

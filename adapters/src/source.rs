//! What may be said of a source that gave no answer: its class, and nothing of what it said.

use runledger_ledger::words::words;

words! {
    /// How a source failed an adapter.
    SourceClass {
        /// It cannot be reached.
        Unavailable = "unavailable",
        /// It did not answer in time.
        Timeout = "timeout",
        /// It does not do what it was asked: no such right, no such table.
        Refused = "refused",
        /// It answered what cannot be read, or more than may be read.
        Malformed = "malformed",
        /// The adapter itself is at fault: it panicked, or did not answer for each case.
        Broken = "broken",
    }
}

impl SourceClass {
    /// Whether a smaller page might be answered: one unreadable row must not hide the others.
    pub const fn may_be_one_case(self) -> bool {
        matches!(self, SourceClass::Malformed | SourceClass::Broken)
    }
}

/// A source gave no answer, so nothing is decided. Errors of drivers hold addresses, SQL and values
/// of rows; so none of their text is kept, and `what` is a constant of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source is {class}: {what}")]
pub struct SourceError {
    /// How it failed.
    pub class: SourceClass,
    /// What was being done, or what was wrong.
    pub what: &'static str,
}

impl SourceError {
    /// A failure of this class.
    pub const fn new(class: SourceClass, what: &'static str) -> Self {
        SourceError { class, what }
    }
}

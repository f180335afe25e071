//! The rules of DESIGN sections 5 to 8: what is true of a run, of a queue and of a follow-up at a
//! moment, derived from what is recorded.
//!
//! Every rule is a plain function of values and a time. None asks a clock, a database or another
//! machine, so the same question about the same moment always gets the same answer, live, in a
//! rebuild and as of last week.

pub mod actionability;
pub mod actions;
pub mod activity;
pub mod blind;
pub mod freshness;
pub mod guidance;
pub mod progress;
pub mod queue;
pub mod related;
pub(crate) mod rfc3339;
pub(crate) mod seconds;
pub mod standing;
#[cfg(test)]
pub(crate) mod story;
pub mod why;

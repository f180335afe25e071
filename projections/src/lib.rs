//! What is true now, derived from what the ledger recorded: the rules of freshness, queues,
//! actionability, progress and guidance, and the texts in which people read them.

pub mod rules;
pub mod texts;

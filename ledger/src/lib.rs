//! The ledger: an append-only, tamper-evident log of what background operations reported, and the
//! aggregates that decide what is recorded. It knows no read model, no adapter and no transport.

pub mod catalog;
pub mod clock;
pub mod time;

//! The ledger: an append-only, tamper-evident log of what background operations reported, and the
//! aggregates that decide what is recorded. It knows no read model, no adapter and no transport.

pub mod access;
pub mod archive;
pub mod audit;
pub mod canonical;
pub mod catalog;
pub mod checkpoints;
pub mod clock;
pub mod correlation;
pub mod cqrs;
mod crowd;
pub mod erasure;
pub mod event;
pub mod fact;
mod lane;
pub mod ledger;
pub mod pace;
mod process;
pub use runledger_proof::merkle;
pub mod run;
pub mod store;
pub mod subject;
pub mod submission;
pub mod time;
pub mod tree;
pub mod words;
pub mod worker;
pub mod workspace;

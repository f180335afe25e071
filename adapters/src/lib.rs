//! Reconciliation adapters (DESIGN section 9): each proves from domain truth what happened to a
//! run.
//!
//! An adapter reads and decides, and writes nothing: there is nothing to write with in its reach.
//! What it decides is checked by [`seam`] and goes through the ledger like every other command.
//! This crate knows no read model and no way in; who asks the adapters, and when, is decided above.

pub mod adapter;
mod built_in;
pub mod conformance;
pub mod domain;
pub mod lifecycle;
mod manifest;
pub mod probe;
pub mod registry;
pub mod remote;
pub mod restore;
pub mod review;
pub mod seam;
pub mod source;

pub use built_in::built_in;

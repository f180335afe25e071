//! What the ledger promises of its log, on every database that it runs on.
//!
//! Each check is written once and runs on SQLite in memory, on a SQLite file and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod atomic;
mod audit;
mod bed;
mod correlations;
mod crowd;
mod drill;
mod erasure;
mod framework;
mod ids;
mod immutable;
mod line;
mod log;
mod lost_answers;
mod reports;
mod rows;
mod sharing;
mod tree;
mod trust;
mod two_servers;
mod unique;
mod workspaces;
